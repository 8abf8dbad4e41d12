//! R1: one engine serves every R from 4.1 on, whatever of its insides that R hides.

use crate::support::harness::{LIMIT, Session, bare_launch, compiled};
use crate::support::r::{minor, r, talk};
use object::{Object, ObjectSymbol};
use serde_json::json;
use std::collections::BTreeSet;
use std::time::Instant;
use worker_client::{Event, Launch};

/// What the engine needs of R, by the reason for which every R from 4.1 on has it. "WRE" is *Writing R Extensions*.
const NEEDED: [(&str, &str); 8] = [
    (
        "API of WRE, \"The R API\" and \"Handling R objects in C\": values, environments, evaluation, parsing",
        "INTEGER R_CHAR R_CheckUserInterrupt R_MakeExternalPtrFn R_NewEnv R_ParseVector R_PreserveObject R_ReleaseObject \
         R_ToplevelExec R_curErrorBuf Rf_PrintValue Rf_ScalarInteger Rf_ScalarLogical Rf_ScalarReal Rf_ScalarString \
         Rf_asInteger Rf_asLogical Rf_cons Rf_defineVar Rf_eval Rf_getAttrib Rf_getCharCE Rf_install \
         Rf_isObject Rf_isString Rf_lang1 Rf_lang2 Rf_lang5 Rf_lcons Rf_mkCharLenCE Rf_onintr Rf_protect \
         Rf_translateCharUTF8 Rf_unprotect Rf_xlength STRING_ELT TYPEOF VECTOR_ELT",
    ),
    ("variables that WRE documents as constants", "R_BaseEnv R_EmptyEnv R_GlobalEnv R_NilValue"),
    ("WRE, front ends, \"Embedding R under Unix-alikes\"", "Rf_initialize_R run_Rmainloop setup_Rmainloop"),
    ("WRE, front ends, \"Threading issues\"", "R_CStackLimit R_SignalHandlers"),
    (
        "WRE, front ends, \"Setting R callbacks\"",
        "R_Consolefile R_Outputfile ptr_R_Busy ptr_R_CleanUp ptr_R_ClearerrConsole ptr_R_FlushConsole ptr_R_ReadConsole \
         ptr_R_ResetConsole ptr_R_ShowMessage ptr_R_WriteConsole ptr_R_WriteConsoleEx",
    ),
    (
        "WRE, front ends: what a `ptr_R_CleanUp` and a console call",
        "R_CleanTempDir R_RunExitFinalizers R_SaveGlobalEnv R_dot_Last Rf_CleanEd Rf_KillAllDevices Rf_jump_to_toplevel",
    ),
    ("WRE, front ends, \"Meshing event loops\"", "R_InputHandlers R_checkActivity R_runHandlers R_wait_usec"),
    (
        "R_ext/GraphicsEngine.h and R_ext/GraphicsDevice.h, the API of graphics devices",
        "GEcopyDisplayList GEcurrentDevice GEdeviceNumber GEgetDevice GEkillDevice Rf_curDevice Rf_desc2GEDesc \
         Rf_selectDevice",
    ),
];

#[test]
fn r1_the_engine_needs_only_what_r_documents() {
    let bytes = std::fs::read(env!("WORKER_ENGINE_R")).unwrap();
    let engine = object::File::parse(&*bytes).unwrap();
    let of_the_system = system_names();
    let needed: BTreeSet<&str> = engine
        .dynamic_symbols()
        .filter(|symbol| symbol.is_undefined() && !symbol.is_weak())
        .map(|symbol| symbol.name().unwrap())
        .filter(|name| !name.is_empty() && !of_the_system.contains(*name))
        .collect();
    let known: BTreeSet<&str> = NEEDED.iter().flat_map(|(_, names)| names.split_whitespace()).collect();
    let [new, gone] = [&needed - &known, &known - &needed];
    assert!(new.is_empty(), "needed without a reason: {new:?}; look these up by name, in r/src/libr/by_name.rs");
    assert!(gone.is_empty(), "no longer needed: {gone:?}");
}

/// What the libraries export that this test has loaded: C's, and no R.
fn system_names() -> BTreeSet<String> {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    let libraries: BTreeSet<&str> =
        maps.lines().filter_map(|line| line.split_whitespace().last()).filter(|path| path.contains(".so")).collect();
    let mut names = BTreeSet::new();
    for library in libraries {
        let bytes = std::fs::read(library).unwrap();
        let library = object::File::parse(&*bytes).unwrap();
        let defined = library.dynamic_symbols().filter(|symbol| !symbol.is_undefined());
        names.extend(defined.filter_map(|symbol| Some(symbol.name().ok()?.to_owned())));
    }
    names
}

/// A library that hides what is no API: what a later R may do.
const HIDING: &str = r#"
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>
void *dlsym(void *handle, const char *name) {
    static void *(*real)(void *, const char *);
    if (!real) real = dlvsym(RTLD_NEXT, "dlsym", "GLIBC_2.2.5");
    const char *hidden = getenv("TEST_HIDDEN");
    size_t length = strlen(name);
    for (const char *at = hidden; at && (at = strstr(at, name)); at += length)
        if ((at == hidden || at[-1] == ' ') && (at[length] == ' ' || !at[length])) return 0;
    return real(handle, name);
}
"#;

/// A session whose engine finds none of these names.
fn hiding(library: &std::path::Path, names: &str) -> Session {
    let launch: Launch = bare_launch("r").env("LD_PRELOAD", library).env("TEST_HIDDEN", names);
    Session::start(launch)
}

#[test]
fn r1_an_r_that_hides_all_but_its_api_runs() {
    let (_folder, library) = compiled(HIDING);
    let mut names =
        "R_GlobalContext R_gc_running PRVALUE parseError R_Visible R_OldCStackLimit Rg_wait_usec".to_owned();
    if minor(&r()) >= 5 {
        // `R_getVarEx` is there in its stead.
        names += " Rf_findVarInFrame R_UnboundValue";
    }
    for names in [&*names, &format!("{names} R_GetBindingType R_interrupts_suspended")] {
        let mut s = hiding(&library, names);
        works(&mut s);
        let id = s.begin("cat('go\\n'); repeat {}");
        s.until_printed(&id, "go\n");
        s.interrupt();
        s.finish(&id).interrupted();
        let id = s.begin("cat('go\\n'); Sys.sleep(600)");
        s.until_printed(&id, "go\n");
        s.interrupt();
        s.finish(&id).interrupted();
        s.says("1", "[1] 1\n");
    }
    // Without R's flag an interrupt acts where R calls us.
    let mut s = hiding(&library, &format!("{names} R_interrupts_pending"));
    works(&mut s);
    let id = s.begin("repeat cat('go\\n')");
    s.until_printed(&id, "go\n");
    s.interrupt();
    s.finish(&id).interrupted();
    s.says("1", "[1] 1\n");
}

/// Cells, values, errors, questions, debuggers, requests and plots.
#[track_caller]
fn works(s: &mut Session) {
    let frame = "  a\n1 1\n";
    for code in ["d <- data.frame(a = 1); d", "d", "d"] {
        assert_eq!(s.says(code, frame).result, frame);
    }
    assert_eq!(s.says("cat('a\\n'); 1 + 1", "a\n[1] 2\n").result, "[1] 2\n");
    assert_eq!(s.says("print(d)", frame).result, "");
    let cell = s.run("f <- function(x) stop('no ', x)\nf(1)").failed("simpleError");
    assert_eq!(cell.traceback, "Error in f(1) : no 1\n");
    let cell = s.run("x <- )").failed("simpleError");
    assert!(cell.traceback.contains("unexpected ')'"), "{cell:?}");
    assert_eq!(talk(s, "readline('name? ')", &[("name? ", "bob")]).ok().result, "[1] \"bob\"\n");
    let prompt = "Browse[1]> ";
    let cell = talk(s, "g <- function(a) {browser(); a}; g(d)", &[(prompt, "a$a + 1"), (prompt, "c")]).ok();
    assert_eq!((&*cell.result, &*cell.stdout), (frame, &*format!("Called from: g(d)\n[1] 2\n{frame}")));
    let cell = talk(s, "browser(); 5", &[(prompt, "c")]).ok();
    assert!(cell.stdout.ends_with("[1] 5\n"), "{cell:?}");
    s.says("delayedAssign('later', cat('forced'))", "");
    let variables = s.call("variables", json!({})).unwrap()["variables"].to_string();
    assert!(variables.contains("data.frame") && !variables.contains("forced"), "{variables}");
    let found = s.call("complete", json!({"code": "d$"})).unwrap();
    assert_eq!(found["matches"][0]["text"], "d$a");
    let id = s.begin("plot(1)");
    let Event::OutputImage(image) = s.next() else { s.fail("no picture") };
    assert!(image.data_b64.starts_with("iVBORw0KGgo"));
    s.finish(&id).ok();
}

#[test]
fn r1_the_last_value_is_as_at_the_prompt() {
    let mut s = r();
    let long: String = (0..200).map(|i| format!("x{i} <- {i}\n")).collect();
    let list = "$a\n[1] 1\n\n";
    // A large expression is evaluated by the engine, since R's prompt would take long over it.
    for code in ["list(a = 1)", "invisible(list(a = 1))", &format!("{{{long}list(a = 1)}}"), "structure(list(a = 1))"] {
        s.run(code).ok();
        s.says("is.list(v <- .Last.value)", "[1] TRUE\n");
        s.says("invisible(v)", "");
        assert_eq!(s.says("v", list).result, list);
        assert_eq!(s.says("v", list).result, list);
        s.run("stop('no')").failed("simpleError");
        s.run("stop('no')").failed("simpleError");
        assert_eq!(s.says(".Last.value", list).result, list);
    }
    for (code, printed) in [("1", "[1] 1\n"), ("v", list), ("invisible(v)", "")] {
        s.says(code, printed);
        s.says("bindingIsLocked('.Last.value', baseenv())", "[1] TRUE\n");
    }
}

#[test]
fn l5_an_r_that_cannot_be_hosted_is_told_with_version_and_remedy() {
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path().join("R");
    let script = home.join("bin/R");
    for folder in ["bin", "etc", "lib", "library/base"] {
        std::fs::create_dir_all(home.join(folder)).unwrap();
    }
    std::fs::write(&script, format!("R_HOME_DIR={}\n", home.display())).unwrap();
    for (version, library, words) in [
        ("4.0.5", true, ["4.0.5", "4.1 or newer", "--r-home"]),
        ("3.6.3", false, ["3.6.3", "4.1 or newer", "--r-home"]),
        ("4.4.1", false, ["4.4.1", "--enable-R-shlib", "--r-home"]),
    ] {
        std::fs::write(home.join("library/base/DESCRIPTION"), format!("Package: base\nVersion: {version}\n")).unwrap();
        let file = home.join("lib/libR.so");
        if library {
            std::fs::write(&file, "").unwrap()
        } else {
            drop(std::fs::remove_file(&file))
        }
        let mut worker = bare_launch("r").arg("--r-home").arg(&home).spawn().unwrap();
        let ending = worker.wait(Instant::now() + LIMIT).unwrap();
        let told = ending.last.and_then(|last| last.message).unwrap_or_default();
        assert!(words.iter().all(|word| told.contains(word)), "{told}");
        assert_eq!(ending.status.code(), Some(1));
    }
}
