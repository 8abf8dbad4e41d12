//! Command lines that are understood, and what is said of those that are not.

use super::*;

const PIPED: Environment = Environment { mcp_repl: None, handed: false, terminal: false };

fn read(line: &str, around: &Environment) -> Result<Options, String> {
    let words = std::iter::once("worker").chain(line.split_whitespace()).map(OsString::from);
    parse(words, around).map_err(|error| {
        assert_eq!(error.exit_code(), 2);
        error.to_string()
    })
}

#[test]
fn the_parser_is_well_formed() {
    Arguments::command().debug_assert();
}

#[test]
fn transports() {
    let transport = |line: &str| read(line, &PIPED).unwrap().transport;
    assert_eq!(transport("--ipc-fd 3"), Transport::Fds(3, 3));
    assert_eq!(transport("--ipc-fd 5,4"), Transport::Fds(5, 4));
    assert_eq!(transport("--ipc stdio"), Transport::Stdio);
    assert_eq!(transport("--listen unix:/a/b"), Transport::Listen(ListenAddress::Unix("/a/b".into())));
    let terminal = Environment { terminal: true, ..PIPED };
    let handed = Environment { mcp_repl: None, handed: true, terminal: true };
    assert_eq!(read("", &handed).unwrap().transport, Transport::Handed);
    assert_eq!(read("--ipc stdio", &handed).unwrap().transport, Transport::Stdio);
    assert_eq!(read("", &terminal).unwrap().transport, Transport::Console);
    assert!(read("", &PIPED).unwrap_err().contains("--ipc-fd N"));
}

#[test]
fn the_second_dialect_by_flag_and_by_environment() {
    let around = Environment { mcp_repl: Some(("7".into(), "8".into())), handed: false, terminal: true };
    let options = read("", &around).unwrap();
    assert_eq!((options.transport, options.dialect), (Transport::Fds(7, 8), Dialect::McpRepl));
    let options = read("--dialect worker", &around).unwrap();
    assert_eq!((options.transport, options.dialect), (Transport::Console, Dialect::Worker));
    let options = read("--dialect mcp-repl --ipc stdio", &PIPED).unwrap();
    assert_eq!((options.transport, options.dialect), (Transport::Stdio, Dialect::McpRepl));
    let broken = Environment { mcp_repl: Some(("7".into(), "x".into())), handed: false, terminal: true };
    assert!(read("", &broken).unwrap_err().contains("MCP_REPL_IPC_WRITE_FD=x"));
}

#[test]
fn what_cannot_be_meant_is_refused_with_what_to_do() {
    for (line, says) in [
        ("--ipc-fd 1", "--ipc stdio"),
        ("--ipc-fd 0,1", "--ipc stdio"),
        ("--ipc-fd x", "not a descriptor"),
        ("--ipc-fd -1", "-1"),
        ("--ipc-fd 3 --ipc stdio", "exclude each other"),
        ("--ipc pigeon", "stdio"),
        ("--listen tcp:0.0.0.0:80", "loopback"),
        ("--listen here", "unix:PATH"),
        ("--ipc stdio --lang perl", "python"),
        ("--ipc stdio --lang r --python p", "--lang python"),
        ("--ipc stdio --r-home p", "--lang r"),
        ("--ipc stdio --plot 7x5", "7x5@96"),
        ("--ipc stdio --plot 7x5@nan", "7x5@96"),
        ("--ipc stdio --plot 7000x5@96", "pixels"),
        ("--ipc stdio --env X", "KEY=VALUE"),
        ("--ipc stdio --env =X", "KEY=VALUE"),
        ("--ipc stdio --parent 0", "parent"),
        ("--ipc stdio --stdio-control", "--ipc stdio"),
        ("--ipc stdio cell.py", "cell.py"),
    ] {
        let message = read(line, &PIPED).map(|_| ()).unwrap_err();
        assert!(message.contains(says), "{line}: {message}");
    }
}

#[test]
fn the_rest_of_the_flags() {
    let options = read("--ipc stdio --env A=1=2 --env B= --plot 4.5x3@144 --parent 7", &PIPED).unwrap();
    assert_eq!(options.set_env, [("A".into(), "1=2".into()), ("B".into(), "".into())]);
    assert_eq!((options.plot.width, options.plot.height, options.plot.dpi), (4.5, 3.0, 144.0));
    assert_eq!(options.parent, Some(7));
    assert_eq!(options.lang, Lang::Python);
}
