//! The same operations, carried out by each backend and by std, come to the same.

#![cfg(unix)]

mod common;

use std::fs::{self, File};
use std::io::{IoSlice, IoSliceMut, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use common::files::{Desk, backends};
use proptest::prelude::*;
use wakeful::file::{Backend, Buffer, OpenOptions, Operation, Output};

/// Two files are open, one of them for appending; names are these, in a directory of its own.
const NAMES: [&str; 4] = ["a", "b", "directory", "missing/x"];

#[derive(Clone, Debug)]
enum Step {
    Read { appending: bool, at: u64, lengths: Vec<usize> },
    Write { appending: bool, at: u64, lengths: Vec<usize>, value: u8 },
    Sync { data_only: bool },
    Length { name: usize },
    Open { name: usize, options: OpenOptions },
    Rename { from: usize, to: usize },
    RemoveFile { name: usize },
    RemoveDir { name: usize },
    CreateDir { name: usize },
}

/// std has no call for several buffers at an offset: it has to seek, which not every offset can be sought.
fn reachable(at: u64, lengths: &[usize]) -> u64 {
    if lengths.len() == 1 { at } else { at.min(1 << 33) }
}

fn steps() -> impl Strategy<Value = Step> {
    let at = || {
        prop_oneof![
            8 => 0_u64..5000,
            1 => Just(1 << 33),
            1 => Just(u64::MAX),
            1 => Just(i64::MAX as u64),
        ]
    };
    let lengths = || prop::collection::vec(prop_oneof![Just(0), 1_usize..3000], 0..4);
    let options = (any::<[bool; 6]>()).prop_map(|[read, write, append, truncate, create, new]| {
        let options = OpenOptions::new().read(read).write(write).append(append);
        options.truncate(truncate).create(create).create_new(new)
    });
    let name = || 0..NAMES.len();
    prop_oneof![
        4 => (any::<bool>(), at(), lengths()).prop_map(|(appending, at, lengths)| {
            Step::Read { appending, at: reachable(at, &lengths), lengths }
        }),
        4 => (any::<bool>(), at(), lengths(), any::<u8>()).prop_map(
            |(appending, at, lengths, value)| {
                Step::Write { appending, at: reachable(at, &lengths), lengths, value }
            }
        ),
        1 => any::<bool>().prop_map(|data_only| Step::Sync { data_only }),
        1 => name().prop_map(|name| Step::Length { name }),
        2 => (name(), options).prop_map(|(name, options)| Step::Open { name, options }),
        1 => (name(), name()).prop_map(|(from, to)| Step::Rename { from, to }),
        1 => name().prop_map(|name| Step::RemoveFile { name }),
        1 => name().prop_map(|name| Step::RemoveDir { name }),
        1 => name().prop_map(|name| Step::CreateDir { name }),
    ]
}

/// What a step came to.
#[derive(Debug, PartialEq)]
enum Came {
    Moved(usize, Vec<u8>),
    Length(u64),
    Done,
    Failed(i32),
}

struct Place {
    directory: tempfile::TempDir,
    plain: Arc<File>,
    appending: Arc<File>,
}

impl Place {
    fn new() -> Place {
        let directory = tempfile::tempdir().unwrap();
        let open = |name: &str, append: bool| {
            let mut options = File::options();
            options.read(true).write(true).append(append).create(true);
            Arc::new(options.open(directory.path().join(name)).unwrap())
        };
        let (plain, appending) = (open("plain", false), open("appending", true));
        fs::create_dir(directory.path().join("directory")).unwrap();
        Place { plain, appending, directory }
    }

    fn at(&self, name: usize) -> PathBuf {
        self.directory.path().join(NAMES[name])
    }

    fn file(&self, appending: bool) -> &Arc<File> {
        if appending { &self.appending } else { &self.plain }
    }

    /// All that there is in the end.
    fn content(&self) -> Vec<(String, Vec<u8>)> {
        let mut content: Vec<_> = fs::read_dir(self.directory.path())
            .unwrap()
            .map(|entry| {
                let entry = entry.unwrap();
                let name = entry.file_name().into_string().unwrap();
                // Those that were made long are sparse.
                let is_long = entry.metadata().unwrap().len() > 1 << 20;
                let bytes =
                    if is_long { Vec::new() } else { fs::read(entry.path()).unwrap_or_default() };
                (name, bytes)
            })
            .collect();
        content.sort();
        content
    }
}

fn failed(error: &std::io::Error) -> Came {
    Came::Failed(error.raw_os_error().unwrap_or(-1))
}

fn by_std(place: &Place, step: &Step) -> Came {
    let done = |result: std::io::Result<()>| match result {
        Ok(()) => Came::Done,
        Err(error) => failed(&error),
    };
    match step {
        Step::Read { appending, at, lengths } => {
            let mut buffers: Vec<Vec<u8>> =
                lengths.iter().map(|&length| vec![0xee; length]).collect();
            let mut file = &**place.file(*appending);
            let result = match &mut buffers[..] {
                [one] => file.read_at(one, *at),
                many => {
                    let mut slices: Vec<_> =
                        many.iter_mut().map(|it| IoSliceMut::new(it)).collect();
                    file.seek(SeekFrom::Start(*at)).and_then(|_| file.read_vectored(&mut slices))
                }
            };
            match result {
                Ok(count) => Came::Moved(count, buffers.concat()),
                Err(error) => failed(&error),
            }
        }
        Step::Write { appending, at, lengths, value } => {
            let buffers: Vec<Vec<u8>> =
                lengths.iter().map(|&length| vec![*value; length]).collect();
            let mut file = &**place.file(*appending);
            let result = match &buffers[..] {
                [one] => file.write_at(one, *at),
                many => {
                    let slices: Vec<_> = many.iter().map(|it| IoSlice::new(it)).collect();
                    file.seek(SeekFrom::Start(*at)).and_then(|_| file.write_vectored(&slices))
                }
            };
            match result {
                Ok(count) => Came::Moved(count, buffers.concat()),
                Err(error) => failed(&error),
            }
        }
        Step::Sync { data_only: true } => done(place.plain.sync_data()),
        Step::Sync { data_only: false } => done(place.plain.sync_all()),
        Step::Length { name } => match fs::metadata(place.at(*name)) {
            Ok(metadata) => length(metadata.is_dir(), metadata.size()),
            Err(error) => failed(&error),
        },
        Step::Open { name, options } => {
            opened(std_options(options).open(place.at(*name)), &place.at(*name))
        }
        Step::Rename { from, to } => done(fs::rename(place.at(*from), place.at(*to))),
        Step::RemoveFile { name } => done(fs::remove_file(place.at(*name))),
        Step::RemoveDir { name } => done(fs::remove_dir(place.at(*name))),
        Step::CreateDir { name } => done(fs::DirBuilder::new().mode(0o700).create(place.at(*name))),
    }
}

/// Directories have lengths of their own.
fn length(is_directory: bool, length: u64) -> Came {
    Came::Length(if is_directory { 0 } else { length })
}

fn opened(result: std::io::Result<File>, path: &Path) -> Came {
    match result {
        Ok(file) => {
            let (opened, named) = (file.metadata().unwrap(), fs::metadata(path).unwrap());
            assert_eq!((opened.ino(), opened.mode()), (named.ino(), named.mode()));
            length(opened.is_dir(), u64::from(opened.mode()))
        }
        Err(error) => failed(&error),
    }
}

fn by_queue(place: &Place, step: &Step, desk: &mut Desk<()>) -> Came {
    let buffers = |lengths: &[usize], value: u8| -> Vec<Buffer> {
        lengths.iter().map(|&length| vec![value; length].into()).collect()
    };
    let operation = match step {
        Step::Read { appending, at, lengths } => {
            let file = place.file(*appending).clone();
            match lengths[..] {
                [one] => Operation::read(file, vec![0xee; one], *at),
                _ => Operation::read_vectored(file, buffers(lengths, 0xee), *at),
            }
        }
        Step::Write { appending, at, lengths, value } => {
            let file = place.file(*appending).clone();
            match lengths[..] {
                [one] => Operation::write(file, vec![*value; one], *at),
                _ => Operation::write_vectored(file, buffers(lengths, *value), *at),
            }
        }
        Step::Sync { data_only: true } => Operation::sync_data(place.plain.clone()),
        Step::Sync { data_only: false } => Operation::sync_all(place.plain.clone()),
        Step::Length { name } => Operation::metadata(place.at(*name)).unwrap(),
        Step::Open { name, options } => match Operation::open(place.at(*name), *options) {
            Ok(operation) => operation,
            Err(error) => {
                assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput);
                return Came::Failed(libc::EINVAL);
            }
        },
        Step::Rename { from, to } => Operation::rename(place.at(*from), place.at(*to)).unwrap(),
        Step::RemoveFile { name } => Operation::remove_file(place.at(*name)).unwrap(),
        Step::RemoveDir { name } => Operation::remove_dir(place.at(*name)).unwrap(),
        Step::CreateDir { name } => Operation::create_dir(place.at(*name), 0o700).unwrap(),
    };
    desk.queue.submit(operation, ()).unwrap();
    let done = desk.wait();
    match done.result {
        Ok(Output::Count(count)) => {
            let buffers = done.operation.into_buffers();
            Came::Moved(count, buffers.into_iter().flat_map(Buffer::into_vec).collect())
        }
        Ok(Output::Metadata(metadata)) => length(metadata.is_dir(), metadata.len),
        Ok(Output::File(file)) => {
            let Step::Open { name, .. } = step else { panic!("a file of {step:?}") };
            opened(Ok(file), &place.at(*name))
        }
        Ok(_) => Came::Done,
        Err(error) => failed(&error),
    }
}

/// Fields of [`OpenOptions`] cannot be read, but shown.
fn std_options(options: &OpenOptions) -> fs::OpenOptions {
    let shown = format!("{options:?}");
    let is = |name: &str| shown.contains(&format!("{name}: true"));
    let mut std = File::options();
    std.read(is(" read")).write(is(" write")).append(is(" append")).truncate(is(" truncate"));
    std.create(is(" create")).create_new(is(" create_new"));
    std
}

/// std's error for options that contradict one another has had a number, and then had none.
fn same(ours: &Came, std: &Came) -> bool {
    ours == std || matches!((ours, std), (Came::Failed(libc::EINVAL), Came::Failed(-1)))
}

fn check(backend: Backend, steps: &[Step]) {
    let (ours, std) = (Place::new(), Place::new());
    let mut desk = Desk::new(1, backend);
    for step in steps {
        let (came, expected) = (by_queue(&ours, step, &mut desk), by_std(&std, step));
        assert!(
            same(&came, &expected),
            "{backend}: {step:?} came to {came:?}, std's to {expected:?}"
        );
    }
    assert_eq!(ours.content(), std.content(), "{backend}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn each_backend_does_as_std_does(steps in prop::collection::vec(steps(), 1..25)) {
        for backend in backends() {
            check(backend, &steps);
        }
    }
}
