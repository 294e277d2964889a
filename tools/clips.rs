//! Writes generated clips as NumPy arrays, so that other programs can learn from the same: `images.npy`
//! `[count, 23, size, size]` and `labels.npy` `[count]`, both bytes.
//!
//! ```sh
//! cargo run --release --example clips -- motion 7 4096 32 clips/
//! ```

use std::fs::File;
use std::io::{self, BufWriter};
use std::path::Path;

use npyz::WriterBuilder;
use trainscope::data::clips::{Task, generate};

fn main() -> io::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [task, seed, count, size, folder] = &arguments[..] else {
        return Err(io::Error::other(
            "usage: clips motion|binding SEED COUNT SIZE FOLDER",
        ));
    };
    let task = match task.as_str() {
        "motion" => Task::Motion,
        "binding" => Task::Binding,
        other => {
            return Err(io::Error::other(format!(
                "task '{other}': use motion or binding"
            )));
        }
    };
    let number = |text: &String| text.parse::<u32>().map_err(io::Error::other);
    let (seed, count, size) = (number(seed)?, number(count)?, number(size)?);
    let images = generate(seed.into(), task, count as usize, size as usize);
    let folder = Path::new(folder);
    std::fs::create_dir_all(folder)?;
    let side = u64::from(size);
    let shape = [count.into(), images.shape[0] as u64, side, side];
    write(&folder.join("images.npy"), &shape, &images.pixels)?;
    write(&folder.join("labels.npy"), &shape[..1], &images.labels)
}

fn write(path: &Path, shape: &[u64], bytes: &[u8]) -> io::Result<()> {
    let options = npyz::WriteOptions::new().default_dtype().shape(shape);
    let file = BufWriter::new(File::create(path)?);
    let mut writer = options.writer(file).begin_nd()?;
    writer.extend(bytes.iter().copied())?;
    writer.finish()
}
