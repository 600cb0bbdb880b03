//! A page for browsers, complete in one file.

use std::fmt::Write;

use super::charts::Chart;
use super::text::{cells, ratio};
use super::{METHOD, Report};

const STYLE: &str = "body{font:15px/1.5 system-ui,sans-serif;max-width:70rem;margin:2rem auto;padding:0 1rem;color:#222}\
table{border-collapse:collapse;margin:1rem 0}td,th{padding:.2rem .7rem;border-bottom:1px solid #ddd;text-align:left}\
.met{color:#1a7f37}.missed{color:#b42318}.undecided{color:#8a6d00}svg{max-width:100%;height:auto}";

impl Report {
    pub(super) fn to_page(&self, charts: &[Chart]) -> String {
        let mut page = format!(
            "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>wakeful beside its peers</title>\
             <style>{STYLE}</style><h1>wakeful beside its peers</h1><p>{}</p><p>{METHOD}</p>",
            escaped(&self.machine.described()),
        );
        page.push_str("<h2>Goals</h2><table><tr><th>Workload<th>Goal<th>Ratio, 95 % interval<th>");
        for outcome in &self.outcomes {
            for goal in &outcome.goals {
                let verdict = goal.verdict.name();
                let _ = write!(
                    page,
                    "<tr><td>{}<td>≤ {} of {}<td>{}<td class=\"{verdict}\">{verdict}",
                    escaped(&outcome.name),
                    goal.at_most,
                    escaped(&goal.against),
                    ratio(goal.ratio),
                );
            }
        }
        page.push_str("</table>");
        for chart in charts {
            let _ = write!(page, "<h2>{}</h2>{}", escaped(&chart.title), chart.svg);
        }
        for outcome in &self.outcomes {
            let _ = write!(
                page,
                "<h2>{}</h2><p>{} per {}. {}</p><table><tr><th><th>ns<th>wakeful's ratio<th>system calls\
                 <th>instructions",
                escaped(&outcome.name),
                outcome.clock,
                outcome.unit,
                escaped(&outcome.remark),
            );
            for candidate in &outcome.candidates {
                page.push_str("<tr>");
                cells(candidate).iter().for_each(|cell| {
                    let _ = write!(page, "<td>{}", escaped(cell));
                });
            }
            for (name, why) in &outcome.absent {
                let _ = write!(page, "<tr><td>{}<td colspan=4>{}", escaped(name), escaped(why));
            }
            page.push_str("</table>");
        }
        page.push_str("</html>\n");
        page
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
