//! The data are part of a run: where they are, what they were, what they cannot be.

use std::fs;
use std::path::Path;

use tempfile::TempDir;
use trainscope::ErrorKind;
use trainscope::trace::{DataTally, RunReader};
use trainscope::train::{Replay, Run, Scenario};

use super::sources::save;
use crate::support::{end, gpu, verify_replay};

const VAE: &str = r#"
name = "faces"
seed = 3
[data]
source = "npy"
path = "faces.npy"
[model]
kind = "vae"
latent = 2
variance = "bounded"
encoder = [{ dense = { units = 8 } }, "relu"]
decoder = [{ dense = { units = 8 } }, "relu", { dense = { units = 16 } }]
[train]
batch = 8
steps = 4
optimizer = { adam = { lr = 1e-3 } }
[record]
every = 1
checkpoint_every = 2
probe_batch = 4
"#;

const CLASSIFIER: &str = r#"
name = "faces"
seed = 3
[data]
source = "npy"
path = "faces.npy"
[model]
kind = "classifier"
layers = [{ dense = { units = 4 } }]
[train]
batch = 8
steps = 2
optimizer = { adam = { lr = 1e-3 } }
[record]
probe_batch = 4
"#;

/// A folder with a scenario and the data that it names by a relative path.
struct Place(TempDir);

impl Place {
    fn new(text: &str) -> Self {
        let place = Self(TempDir::new().unwrap());
        fs::write(place.0.path().join("faces.toml"), text).unwrap();
        place.save(32, 0);
        place
    }

    fn save(&self, count: u8, shift: u8) {
        let pixels: Vec<u8> = (0..u32::from(count) * 16)
            .map(|index| (index * 7 % 251) as u8 ^ shift)
            .collect();
        save(
            &self.0.path().join("faces.npy"),
            &[count.into(), 4, 4],
            &pixels,
        );
    }

    fn label(&self, labels: &[u8]) {
        let count = labels.len() as u64;
        save(&self.0.path().join("faces.labels.npy"), &[count], labels);
    }

    fn start(&self) -> trainscope::Result<Run> {
        let file = self.0.path().join("faces.toml");
        let scenario = Scenario::load(file.to_str().unwrap(), &[])?;
        Run::create(gpu(), &scenario, &self.run(), None)
    }

    fn run(&self) -> std::path::PathBuf {
        self.0.path().join("run")
    }

    fn data(&self) -> DataTally {
        RunReader::open(&self.run())
            .unwrap()
            .info()
            .data
            .clone()
            .unwrap()
    }
}

#[test]
fn a_run_finds_its_data_and_refuses_others() {
    let place = Place::new(VAE);
    end(place.start().unwrap());
    let data = place.data();
    assert_eq!((data.count, data.shape), (32, [1, 4, 4]));
    assert_eq!(data.origin.path.as_deref(), Some("faces.npy"));
    let file = place.0.path().canonicalize().unwrap().join("faces.npy");
    assert_eq!(
        data.origin.absolute_path.as_deref().map(Path::new),
        Some(&*file)
    );
    assert!(
        data.notes[0].ends_with("beside the scenario"),
        "{:?}",
        data.notes
    );
    // This process is in another folder.
    let same = verify_replay(&place.run(), 1..4).unwrap();
    assert!(same.differences.is_empty(), "{same:?}");
    drop(Run::resume(gpu(), &place.run(), Some(6)).unwrap());

    let refusals = || {
        let resumed = Run::resume(gpu(), &place.run(), Some(6)).map(|_| ());
        let replayed = Replay::open(gpu(), &place.run())
            .unwrap()
            .range(1..3)
            .start();
        [resumed.unwrap_err(), replayed.map(|_| ()).unwrap_err()]
    };
    place.save(32, 255);
    for error in refusals() {
        assert!(error.problem().contains("the data have changed"), "{error}");
        assert!(error.problem().contains("pixels"), "{error}");
    }
    place.save(40, 0);
    for error in refusals() {
        assert!(
            error.problem().contains("40 images, the run read 32"),
            "{error}"
        );
    }
    fs::remove_file(&file).unwrap();
    for error in refusals() {
        assert_eq!(error.kind(), ErrorKind::NotFound);
        assert!(error.problem().contains(file.to_str().unwrap()), "{error}");
    }
    place.save(32, 0);
    end(Run::resume(gpu(), &place.run(), Some(6)).unwrap());
    assert_eq!(place.data().digest, data.digest);
}

#[test]
fn labels_are_judged_by_what_occurs() {
    let place = Place::new(CLASSIFIER);
    let refused = || place.start().map(|_| ()).unwrap_err().to_string();
    let error = refused();
    assert!(error.contains("faces.labels.npy"), "{error}");
    let labels = |label: &dyn Fn(u8) -> u8| place.label(&(0..32).map(label).collect::<Vec<_>>());
    labels(&|_| 0);
    assert!(
        refused().contains("all its 32 images have the label 0"),
        "{}",
        refused()
    );
    labels(&|i| 1 + i % 4);
    assert!(refused().contains("no label is 0"), "{}", refused());
    labels(&|i| if i == 17 { 200 } else { i % 4 });
    // One of 32 is no slip; of 200 it is.
    assert!(
        refused().contains("196 labels below 200 never occur"),
        "{}",
        refused()
    );
    place.save(200, 0);
    let many: Vec<u8> = (0..200).map(|i| if i == 17 { 99 } else { i % 4 }).collect();
    place.label(&many);
    let error = refused();
    assert!(
        error.contains("label 99 occurs once (image 17), the next below it is 3"),
        "{error}"
    );
    // A subset without the last classes is trained on.
    place.save(32, 0);
    labels(&|i| i % 3);
    end(place.start().unwrap());
    let counts: Vec<usize> = place
        .data()
        .classes
        .iter()
        .map(|class| class.count)
        .collect();
    assert_eq!(counts, [11, 11, 10]);
}
