//! What the command line takes, and what it says of itself.

use clap::{CommandFactory as _, error::ErrorKind};

use super::{Command, CommandLine, parse};

/// Every `--help` there is, as it stands on a terminal of 100 columns.
#[test]
fn the_help_of_every_command() {
    let mut whole = CommandLine::command().term_width(100);
    insta::assert_snapshot!("help", whole.render_long_help().to_string());
    whole.build();
    let names: Vec<String> = whole.get_subcommands().map(|command| command.get_name().to_owned()).collect();
    for name in names.iter().filter(|name| *name != "help") {
        let command = whole.find_subcommand_mut(name).unwrap();
        let help = command.clone().term_width(100).render_long_help().to_string();
        insta::assert_snapshot!(format!("help_{name}"), help);
    }
}

#[test]
fn the_command_line_is_consistent() {
    CommandLine::command().debug_assert();
}

#[test]
fn options_of_the_screens_may_stand_before_live_or_without_it() {
    let arguments = |line: &str| match parse(line.split(' ')) {
        Ok(Command::Live(arguments)) => arguments,
        other => panic!("{line}: {other:?}"),
    };
    let expected = arguments("tracer live --only ipvs --netns 7 --duration 3s --record a --filter failed");
    for line in [
        "tracer --only ipvs --netns 7 --duration 3s --record a --filter failed",
        "tracer --only ipvs --netns 7 live --duration 3s --record a --filter failed",
        "tracer --only neighbour --netns 8 --filter failed live --only ipvs --netns 7 --duration 3s --record a",
    ] {
        assert_eq!(arguments(line), expected, "{line}");
    }
}

#[test]
fn wrong_use_has_exit_status_2() {
    for (line, expected) in [
        ("tracer --only ipvs events", ErrorKind::ArgumentConflict),
        ("tracer --only routes", ErrorKind::ValueValidation),
        ("tracer events --filter", ErrorKind::InvalidValue),
        ("tracer record", ErrorKind::MissingRequiredArgument),
        ("tracer record -o a --filter failed", ErrorKind::UnknownArgument),
        ("tracer report a --format pdf", ErrorKind::InvalidValue),
        ("tracer replay", ErrorKind::MissingRequiredArgument),
        ("tracer nothing", ErrorKind::InvalidSubcommand),
    ] {
        let error = parse(line.split(' ')).unwrap_err();
        assert_eq!((error.kind(), error.exit_code()), (expected, 2), "{line}");
    }
}

#[test]
fn a_wrong_filter_is_shown_with_its_place() {
    let error = parse(["tracer", "events", "--filter", "host 10.0.0.5 and prot 80"]).unwrap_err();
    assert_eq!((error.kind(), error.exit_code()), (ErrorKind::ValueValidation, 2));
    insta::assert_snapshot!(error.to_string());
}
