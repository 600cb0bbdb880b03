//! Pictures: how the ratios are spread, and how costs grow with size.

use std::collections::BTreeMap;

use anyhow::{Result, anyhow};
use plotters::prelude::*;

use crate::latency::Latencies;
use crate::measure::Outcome;

pub(crate) struct Chart {
    /// Of its file.
    pub(crate) name: String,
    pub(crate) title: String,
    pub(crate) svg: String,
}

const COLOURS: [RGBColor; 6] = [
    RGBColor(31, 119, 180),
    RGBColor(214, 39, 40),
    RGBColor(127, 127, 127),
    RGBColor(44, 160, 44),
    RGBColor(148, 103, 189),
    RGBColor(255, 127, 14),
];

pub(super) fn all(outcomes: &[Outcome], latencies: &[Latencies]) -> Result<Vec<Chart>> {
    let mut charts = Vec::new();
    charts.extend(ratios(outcomes)?);
    charts.extend(curves(outcomes, "timers", "timers among ", "timers in the poller")?);
    charts.extend(curves(outcomes, "echo", "echo, ", "connections")?);
    for (number, latencies) in latencies.iter().enumerate() {
        charts.push(histogram(latencies, number)?);
    }
    Ok(charts)
}

/// How many took how long: a line for each candidate, over classes that grow by a tenth.
fn histogram(latencies: &Latencies, number: usize) -> Result<Chart> {
    let mut svg = String::new();
    {
        let root = SVGBackend::with_string(&mut svg, (700, 420)).into_drawing_area();
        root.fill(&WHITE).map_err(drawn)?;
        let class = |time: f64| (time.max(1.0).ln() / 1.1_f64.ln()) as i32;
        let mut counted: Vec<(&str, BTreeMap<i32, usize>)> = Vec::new();
        for (name, times) in &latencies.of {
            let mut counts = BTreeMap::new();
            for &time in times {
                *counts.entry(class(time)).or_insert(0) += 1;
            }
            counted.push((name, counts));
        }
        let keys = || counted.iter().flat_map(|(_, counts)| counts.keys().copied());
        let (least, most) = (keys().min().unwrap_or(0), keys().max().unwrap_or(1) + 1);
        let highest =
            counted.iter().flat_map(|(_, counts)| counts.values()).max().copied().unwrap_or(1);
        let time = |class: i32| 1.1_f64.powi(class);
        let mut chart = ChartBuilder::on(&root)
            .margin(12)
            .x_label_area_size(40)
            .y_label_area_size(70)
            .build_cartesian_2d((time(least)..time(most)).log_scale(), 0..highest + highest / 10)
            .map_err(drawn)?;
        chart.configure_mesh().x_desc("µs").y_desc("how many").draw().map_err(drawn)?;
        for (number, (name, counts)) in counted.iter().enumerate() {
            let colour = COLOURS[number % COLOURS.len()];
            let points =
                (least..=most).map(|class| (time(class), counts.get(&class).copied().unwrap_or(0)));
            chart
                .draw_series(LineSeries::new(points, colour.stroke_width(2)))
                .map_err(drawn)?
                .label(*name)
                .legend(move |(x, y)| {
                    PathElement::new(vec![(x, y), (x + 18, y)], colour.stroke_width(2))
                });
        }
        chart
            .configure_series_labels()
            .background_style(WHITE.mix(0.8))
            .border_style(BLACK.mix(0.3))
            .draw()
            .map_err(drawn)?;
        root.present().map_err(drawn)?;
    }
    Ok(Chart {
        name: format!("latency-{number}"),
        title: format!("{}: how many took how long", latencies.what),
        svg,
    })
}

/// A box for each goal: from the first quartile to the third, the median, and the extremes.
fn ratios(outcomes: &[Outcome]) -> Result<Option<Chart>> {
    let mut boxes = Vec::new();
    for outcome in outcomes {
        for goal in &outcome.goals {
            let against = outcome.candidates.iter().find(|it| it.name == goal.against);
            if let Some(measured) = against {
                boxes.push((
                    format!("{} / {}", outcome.name, goal.against),
                    Quartiles::new(&measured.ratios),
                    goal.at_most,
                ));
            }
        }
    }
    if boxes.is_empty() {
        return Ok(None);
    }
    let mut svg = String::new();
    {
        let height = 90 + boxes.len() as u32 * 22;
        let root = SVGBackend::with_string(&mut svg, (1000, height)).into_drawing_area();
        root.fill(&WHITE).map_err(drawn)?;
        let mut chart = ChartBuilder::on(&root)
            .margin(10)
            .x_label_area_size(40)
            .y_label_area_size(420)
            .build_cartesian_2d((0.001_f32..3.0).log_scale(), -0.5_f32..boxes.len() as f32 - 0.5)
            .map_err(drawn)?;
        chart
            .configure_mesh()
            .disable_y_mesh()
            .disable_y_axis()
            .x_desc("wakeful's cost / the other's; the line is the goal, less is better")
            .x_label_formatter(&|ratio| format!("{ratio}"))
            .draw()
            .map_err(drawn)?;
        for (number, (name, quartiles, goal)) in boxes.iter().enumerate() {
            let y = (boxes.len() - 1 - number) as f32;
            let values = quartiles.values().map(|value| value.clamp(0.001, 3.0));
            let [least, first, median, third, most] = values;
            let reached = if median <= *goal as f32 { COLOURS[3] } else { COLOURS[1] };
            let line = |from: (f32, f32), to: (f32, f32), style: ShapeStyle| {
                PathElement::new(vec![from, to], style)
            };
            chart
                .draw_series([
                    line((least, y), (most, y), reached.into()),
                    line((*goal as f32, y - 0.45), (*goal as f32, y + 0.45), BLACK.stroke_width(2)),
                ])
                .map_err(drawn)?;
            chart
                .draw_series([
                    Rectangle::new(
                        [(first, y - 0.28), (third, y + 0.28)],
                        reached.mix(0.35).filled(),
                    ),
                    Rectangle::new([(first, y - 0.28), (third, y + 0.28)], reached.stroke_width(1)),
                ])
                .map_err(drawn)?;
            chart
                .draw_series([line(
                    (median, y - 0.28),
                    (median, y + 0.28),
                    reached.stroke_width(2),
                )])
                .map_err(drawn)?;
            let at = chart.backend_coord(&(0.001, y));
            let style = TextStyle::from(("sans-serif", 13).into_font()).pos(
                plotters::style::text_anchor::Pos::new(
                    plotters::style::text_anchor::HPos::Right,
                    plotters::style::text_anchor::VPos::Center,
                ),
            );
            root.draw(&Text::new(name.clone(), (at.0 - 8, at.1), style)).map_err(drawn)?;
        }
        root.present().map_err(drawn)?;
    }
    Ok(Some(Chart { name: "ratios".to_owned(), title: "Ratios".to_owned(), svg }))
}

/// Costs over the first number in the names, a chart for each rest of the name, a line for each candidate.
fn curves(outcomes: &[Outcome], name: &str, prefix: &str, over: &str) -> Result<Vec<Chart>> {
    type Points = Vec<(f64, f64)>;
    let mut by_rest: BTreeMap<String, BTreeMap<&str, Points>> = BTreeMap::new();
    for outcome in outcomes {
        let Some(sized) = outcome.name.strip_prefix(prefix) else { continue };
        let end = sized.find(|it: char| !it.is_ascii_digit()).unwrap_or(sized.len());
        let (Ok(size), rest) = (sized[..end].parse::<f64>(), &sized[end..]) else { continue };
        let rest = rest
            .trim_start_matches([':', ',', ' '])
            .replace("connections, ", "")
            .replace("connection, ", "");
        let lines = by_rest.entry(rest).or_default();
        for candidate in &outcome.candidates {
            lines.entry(&candidate.name).or_default().push((size, candidate.cost.median));
        }
    }
    let mut charts = Vec::new();
    for (rest, lines) in by_rest {
        let points = || lines.values().flatten();
        if lines.values().all(|points| points.len() < 2) {
            continue;
        }
        let least = |axis: fn(&(f64, f64)) -> f64| points().map(axis).fold(f64::MAX, f64::min);
        let most = |axis: fn(&(f64, f64)) -> f64| points().map(axis).fold(0.0, f64::max);
        let mut svg = String::new();
        {
            let root = SVGBackend::with_string(&mut svg, (700, 420)).into_drawing_area();
            root.fill(&WHITE).map_err(drawn)?;
            let xs = least(|it| it.0) * 0.8..most(|it| it.0) * 1.25;
            let ys = (least(|it| it.1) * 0.6).max(0.1)..most(|it| it.1) * 1.6;
            let mut chart = ChartBuilder::on(&root)
                .margin(12)
                .x_label_area_size(40)
                .y_label_area_size(70)
                .build_cartesian_2d(xs.log_scale(), ys.log_scale())
                .map_err(drawn)?;
            chart.configure_mesh().x_desc(over).y_desc("ns").draw().map_err(drawn)?;
            for (number, (candidate, points)) in lines.iter().enumerate() {
                let colour = COLOURS[number % COLOURS.len()];
                let mut points = points.clone();
                points.sort_by(|one, other| one.0.total_cmp(&other.0));
                chart
                    .draw_series(LineSeries::new(points.clone(), colour.stroke_width(2)))
                    .map_err(drawn)?
                    .label(*candidate)
                    .legend(move |(x, y)| {
                        PathElement::new(vec![(x, y), (x + 18, y)], colour.stroke_width(2))
                    });
                chart
                    .draw_series(
                        points.into_iter().map(|point| Circle::new(point, 3, colour.filled())),
                    )
                    .map_err(drawn)?;
            }
            chart
                .configure_series_labels()
                .background_style(WHITE.mix(0.8))
                .border_style(BLACK.mix(0.3))
                .draw()
                .map_err(drawn)?;
            root.present().map_err(drawn)?;
        }
        let words =
            rest.split(|it: char| !it.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
        let file = std::iter::once(name).chain(words).collect::<Vec<_>>().join("-");
        charts.push(Chart { name: file, title: format!("{name}, {rest}: cost over size"), svg });
    }
    Ok(charts)
}

struct Quartiles(Vec<f64>);

impl Quartiles {
    fn new(values: &[f64]) -> Quartiles {
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        Quartiles(sorted)
    }

    /// The least, the quartiles, and the most.
    fn values(&self) -> [f32; 5] {
        let last = self.0.len().saturating_sub(1);
        [0.0, 0.25, 0.5, 0.75, 1.0].map(|part| {
            let at = (last as f64 * part).round() as usize;
            self.0.get(at).copied().unwrap_or(f64::NAN) as f32
        })
    }
}

/// The drawing's errors borrow what is drawn to.
fn drawn(error: impl std::fmt::Display) -> anyhow::Error {
    anyhow!("a chart cannot be drawn: {error}")
}
