"""Writes fuzz/seeds: small files of every kind that trainscope reads, to begin from. Needs numpy, pandas, pyarrow, pillow.

The pieces of run directories are those of tests/fixtures/earlier and of a run given as the only argument, which may be
made with `trainscope train gan-mnist --steps 3 --set train.batch=4 ...` and should be small.
"""

import gzip
import io
import pathlib
import shutil
import struct
import sys

import numpy as np
import pandas
from PIL import Image
from safetensors.numpy import save

HERE = pathlib.Path(__file__).parent
SEEDS = HERE / "seeds"
EARLIER = HERE.parent / "tests/fixtures/earlier"
rng = np.random.default_rng(0)


def write(target, name, data):
    path = SEEDS / target / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def npy(array, **options):
    out = io.BytesIO()
    np.lib.format.write_array(out, np.asanyarray(array), **options)
    return out.getvalue()


def halves(first, second):
    return struct.pack("<H", len(first)) + first + second


def image(kind, mode="RGB", size=(9, 7), **options):
    channels = len(mode) if mode != "P" else 1
    shape = (size[1], size[0]) + ((channels,) if channels > 1 else ())
    out = io.BytesIO()
    pixels = rng.integers(0, 256, shape, dtype="u1")
    Image.fromarray(pixels, None if mode == "P" else mode).convert(mode).save(out, kind, **options)
    return out.getvalue()


def series():
    lines = rng.normal(size=(4, 5))
    for dtype in ["<f8", ">f4", "<f2", "|b1", "<i8", ">u2", "|u1", "<c8", "<U3"]:
        write("series_npy", dtype.strip("<>|"), npy(lines.astype(dtype)))
    write("series_npy", "fortran", npy(np.asfortranarray(lines), version=(2, 0)))
    write("series_npy", "python2", npy(lines).replace(b"(4, 5)", b"(4L,5)"))
    tables = {
        "plain": "1,2,3\n4,5,6\n",
        "header": "0,1,2\n.5,.25,1e3\n-1,nan,inf\n",
        "names": "unit,0,10\na,1,2\nb,3,4\n",
        "export": "Wall time,Step,Value\n1e9,0,1\n2e9,10,2\n3e9,20,3\n",
        "semicolons": "1,5;2,5\n3,5;4\n",
        "quoted": '\ufeff# x\r\n"1","2"\r\n 3 ,\t4\r\n',
    }
    for name, text in tables.items():
        write("series_csv", name, text.encode())
    frame = pandas.DataFrame({"a": [1.0, 2.0], "b": [3, 4], "c": [5.5, np.nan]})
    for name, table, options in [
        ("plain", frame, {"index": False}),
        ("snappy", frame.rename(columns={"a": "Step"}), {"compression": "snappy"}),
        ("zstd", frame.astype("f4"), {"compression": "zstd", "index": False}),
        ("text", frame.assign(a=["x", "y"]), {"index": False}),
    ]:
        out = io.BytesIO()
        table.to_parquet(out, **options)
        write("series_parquet", name, out.getvalue())


def images():
    labels = npy(np.array([0, 1, 1], "u1"))
    for name, pixels in [
        ("grey", rng.integers(0, 256, (3, 4, 4), dtype="u1")),
        ("color", rng.random((3, 3, 4, 4)).astype("f4")),
        ("bool", rng.random((3, 4, 4)) > 0.5),
    ]:
        write("images_npy", name, halves(labels, npy(pixels)))
    idx_labels = struct.pack(">II", 0x801, 3) + bytes([0, 2, 1])
    pixels = rng.integers(0, 256, 3 * 16, dtype="u1").tobytes()
    idx_images = struct.pack(">IIII", 0x803, 3, 4, 4) + pixels
    write("images_idx", "plain", halves(idx_labels, idx_images))
    write("images_idx", "gzip", halves(idx_labels, gzip.compress(idx_images, mtime=0)))
    write("images_idx", "floats", halves(idx_labels, struct.pack(">IIII", 0xD03, 3, 4, 4) + pixels))
    write("images_cifar10", "one", halves(struct.pack(">H", 3073), bytes([3, 200, 7])))
    write("images_cifar10", "two", halves(struct.pack(">H", 6146), bytes(range(7))))
    for mode in ["L", "LA", "RGB", "RGBA", "P"]:
        write("image_file", f"png_{mode}".lower(), image("PNG", mode))
    for mode in ["L", "RGB", "CMYK"]:
        write("image_file", f"jpeg_{mode}".lower(), image("JPEG", mode))
    write("image_file", "jpeg_progressive", image("JPEG", progressive=True))
    exif = Image.Exif()
    exif[0x112] = 6
    write("image_file", "jpeg_turned", image("JPEG", exif=exif))
    small = image("PNG", "L", (3, 2))
    for name, files in [
        ("flat", ["a.png", "b.png", "notes.txt"]),
        ("classes", ["a/0.png", "a/1.PNG", "b/0.png", "b/deep/1.png"]),
        ("litter", [".git/a.png", "a/._0.png", "Thumbs.db", "a/0.png", "b/x.webp"]),
        ("mixed", ["overview.png", "a/0.png"]),
        ("splits", ["train/a/0.png", "test/a/0.png"]),
    ]:
        write("image_folder", name, halves("\n".join(files).encode(), small))


def scenarios():
    for file in (HERE.parent / "scenarios").glob("*.toml"):
        if file.stem in ["conv-vae-mnist", "hinge-gan-mnist", "two-stream-binding", "vae-corrupt-batch", "cnn-mnist"]:
            write("scenario", file.name, file.read_bytes())
    for name, text in [
        ("plain", "train.batch=64\nseed=3"),
        ("deep", 'model.encoder=["relu", { dense = { units = 3 } }]\ntrain.optimizer=adam'),
        ("wrong", "lr=1e-3\ntrain.steps=1e3\nmodel.latnet=2\n=\nx"),
    ]:
        write("settings", name, text.encode())


def tensors():
    weights = {"a.weight": rng.normal(size=(2, 3)).astype("f4"), "a.n": np.array(7, "i8")}
    write("safetensors", "float", save(weights, {"format": "pt"}))
    write("safetensors", "half", save({"h": np.ones((2, 2), "f2"), "d": np.ones(1)}))
    for name, start in [
        ("lfs", b"version https://git-lfs.github.com/spec/v1\noid sha256:a\nsize 3\n"),
        ("pickle", b"\x80\x02}q\x00."),
        ("html", b"<!DOCTYPE html><html>"),
    ]:
        write("safetensors", name, start)


def runs(run):
    parts = [("trace", "trace/*.parquet"), ("scalars", "scalars/*.parquet")]
    for target, pattern in parts:
        for index, file in enumerate(sorted(run.glob(pattern))[:2]):
            write(target, f"small_{index}", file.read_bytes())
    for folder in [*sorted(EARLIER.iterdir()), run]:
        name = folder.name if folder != run else "now"
        for target, file in [("run_info", "run.json"), ("graph", "graph.json"), ("events", "events.jsonl")]:
            text = (folder / file).read_bytes()
            if text:
                write(target, name, b"".join(text.splitlines(True)[:4]) if target == "events" else text)
        for file in sorted(folder.glob("scalars/*.parquet"))[:1]:
            write("scalars", name, file.read_bytes())
    every = [
        '{"step":3,"kind":"spike","severity":"warning","subject":{"scalar":"loss"},"since":2,'
        '"statistics":{"loss":"inf","median":1.5},"samples":[1,2]}',
        '{"step":4,"kind":"nonfinite","severity":"fatal","subject":{"tensor":"a.0","quantity":"gradient","units":[3,5]}}',
        '{"step":5,"kind":"new","subject":{"tensor":"a","quantity":"update"},"since":5,"statistics":{"x":"NaN"}}',
        '{"step":6,"kind":"diversity_collapse","severity":"serious","since":1}',
    ]
    write("events", "every", "\n".join(every).encode())


if __name__ == "__main__":
    shutil.rmtree(SEEDS, ignore_errors=True)
    series()
    images()
    scenarios()
    tensors()
    runs(pathlib.Path(sys.argv[1]))
    print(sum(file.stat().st_size for file in SEEDS.rglob("*") if file.is_file()), "bytes")
