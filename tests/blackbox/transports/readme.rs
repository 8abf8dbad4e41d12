//! The README says what is so: its examples are the files that the tests run, its flags the program's, its links files.

use crate::support::harness::WORKER;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn readme() -> String {
    fs::read_to_string(root().join("README.md")).unwrap()
}

#[test]
fn the_examples_in_the_readme_are_the_files() {
    let readme = readme();
    for (name, language) in [("supervisor.py", "python"), ("supervisor.rs", "rust"), ("supervisor.sh", "sh")] {
        let file = fs::read_to_string(root().join("examples").join(name)).unwrap();
        let block = format!("```{language}\n{file}```\n");
        assert!(readme.contains(&block), "examples/{name} differs from the README: copy it there");
    }
}

#[test]
fn the_readme_explains_every_flag() {
    let help = Command::new(WORKER).arg("--help").output().unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    let flags = help.lines().filter_map(|line| line.trim_start().split([' ', ',']).find(|word| word.starts_with("--")));
    let readme = readme();
    let mut count = 0;
    for flag in flags {
        count += 1;
        assert!(readme.contains(&format!("`{flag}")), "the README does not explain {flag}");
    }
    assert!(count > 10, "{help}");
}

#[test]
fn links_of_the_documents_lead_to_files() {
    let mut documents = vec![root().join("README.md"), root().join("CHANGELOG.md")];
    documents.extend(fs::read_dir(root().join("docs")).unwrap().map(|entry| entry.unwrap().path()));
    for document in documents.iter().filter(|path| path.extension().is_some_and(|ending| ending == "md")) {
        let text = fs::read_to_string(document).unwrap();
        for target in text.split("](").skip(1).filter_map(|rest| rest.split([')', '#']).next()) {
            let path: PathBuf = document.parent().unwrap().join(target);
            let is_elsewhere = target.contains("://");
            assert!(is_elsewhere || path.exists(), "{} speaks of {target}, which is not there", document.display());
        }
    }
}
