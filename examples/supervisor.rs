//! A complete supervisor in Rust: a cell, its output, an answer to its question, an interrupt, the end.
//!
//! Run it as `cargo run --example supervisor [python|r]`.
#![allow(clippy::print_stdout, reason = "what a session says is for the person who runs this")]

use std::time::Duration;
use worker_client::{Batch, Event, Launch};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let lang = std::env::args().nth(1).unwrap_or("python".into());
    let [greet, spin] = match lang.as_str() {
        "r" => ["name <- readline('who? ')\ncat('hello', name, '\\n')", "cat('spinning\\n')\nrepeat {}"],
        _ => ["name = input('who? ')\nprint('hello', name)", "print('spinning')\nwhile True: pass"],
    };
    let (mut worker, _hello, _ready) = Launch::new(&lang).start(Duration::from_secs(10))?;
    worker.send(&Batch::cell(greet).id("greet"))?;
    worker.send(&Batch::cell(spin).id("spin"))?;
    loop {
        match worker.recv_timeout(Duration::from_secs(30))? {
            Event::OutputText(output) => {
                let text = String::from_utf8_lossy(&output.bytes()).into_owned();
                print!("{text}");
                if text.contains("spinning") {
                    worker.interrupt()?; // It would spin for ever.
                }
            }
            Event::InputWait(wait) => {
                println!("asked {:?}, answering Ada", wait.prompt);
                worker.send(&Batch::stdin("Ada").reader(wait.reader))?;
            }
            Event::Ready(ready) => {
                let id = ready.id.unwrap_or_default();
                println!("{id}: {:?}", ready.outcome);
                if id == "spin" {
                    break;
                }
            }
            _ => {}
        }
    }
    let ending = worker.shutdown(Duration::from_secs(2)).ok_or("it would not end")?;
    println!("ended: {ending}");
    Ok(())
}
