//! Reports in a real browser: no errors, links, names, keyboard, and values as the data have them. Skipped where there is no
//! Chromium.

use std::path::{Path, PathBuf};
use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use trainscope::compare::compare;
use trainscope::report::{write_comparison, write_report};
use trainscope::trace::RunView;

use crate::report::write_run;
use crate::support::gpu;

/// What collects errors of the page's own scripts, before they run.
const ERRORS: &str = "<script>window.errors = []; \
    window.addEventListener('error', (event) => errors.push(`${event.message} in line ${event.lineno}`)); \
    console.error = (...words) => errors.push(words.join(' '));</script>";
const PROBE: &str = include_str!("report_probe.js");
/// Width and height of windows: a screen, and a small one.
const WINDOWS: [&str; 2] = ["1280,800", "640,400"];

/// The first browser on the path that can be asked without a window.
fn browser() -> Option<PathBuf> {
    let names = ["chromium", "chromium-browser", "google-chrome"];
    let path = std::env::var_os("PATH")?;
    let folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    let all = names
        .iter()
        .flat_map(|name| folders.iter().map(move |folder| folder.join(name)));
    all.into_iter().find(|file| file.is_file())
}

/// What is wrong with a page in a window of this size.
fn problems(browser: &Path, html: &str, window: &str) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    let page = folder.path().join("page.html");
    let probed = html
        .replacen("<head>", &format!("<head>{ERRORS}"), 1)
        .replacen("</body>", &format!("<script>{PROBE}</script></body>"), 1);
    std::fs::write(&page, probed).unwrap();
    let output = Command::new(browser)
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--dump-dom"])
        .arg("--virtual-time-budget=10000")
        .arg(format!("--window-size={window}"))
        .arg(format!(
            "--user-data-dir={}",
            folder.path().join("profile").display()
        ))
        .arg(format!("file://{}", page.display()))
        .output()
        .unwrap();
    let dom = String::from_utf8_lossy(&output.stdout);
    let found = dom.split_once("<pre id=\"probe\">");
    let found = found.and_then(|(_, rest)| rest.split_once("</pre>"));
    let (encoded, _) = found.unwrap_or_else(|| {
        let log = String::from_utf8_lossy(&output.stderr);
        panic!("the page did not answer: {log}")
    });
    serde_json::from_slice(&BASE64.decode(encoded.trim()).unwrap()).unwrap()
}

#[test]
fn reports_work_in_a_browser() {
    let Some(browser) = browser() else {
        println!("skipped: there is no Chromium on the path");
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("run");
    write_run(&dir);
    let path = write_report(gpu(), &dir).unwrap();
    let report = std::fs::read_to_string(path).unwrap();
    let runs = [RunView::open(&dir).unwrap(), RunView::open(&dir).unwrap()];
    let path = folder.path().join("comparison.html");
    write_comparison(&runs, &compare(&runs).unwrap(), &path).unwrap();
    let comparison = std::fs::read_to_string(path).unwrap();
    for window in WINDOWS {
        for (name, html) in [("report", &report), ("comparison", &comparison)] {
            let wrong = problems(&browser, html, window);
            assert!(wrong.is_empty(), "{name} at {window}: {wrong:#?}");
        }
    }
    // The probe can fail.
    let broken = report.replacen("id=\"verdict\"", "id=\"other\"", 1);
    let wrong = problems(&browser, &broken, WINDOWS[0]);
    assert_eq!(wrong, ["link #verdict leads nowhere"]);
}
