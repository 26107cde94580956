use super::print_json;
use crate::{
    Error,
    doctor::{self, Finding, Severity},
    installation::Installation,
};
use clap::Args;

#[derive(Args, Clone, Copy, Debug)]
pub struct Options {
    #[arg(long)]
    json: bool,
}

/// Fails when a problem was found, so that a script or a monitor notices.
pub async fn run(options: Options, installation: &Installation) -> Result<(), Error> {
    let findings = doctor::examine(&installation.into()).await?;
    if options.json {
        print_json(&findings);
    } else if findings.is_empty() {
        println!("The registry and the database servers fit together.");
    }
    for Finding { severity, what, advice } in findings.iter().filter(|_| !options.json) {
        let mark = match severity {
            Severity::Problem => "problem",
            Severity::Notice => "notice",
        };
        println!("{mark}: {what}\n         {advice}");
    }
    match findings.iter().filter(|finding| finding.severity == Severity::Problem).count() {
        0 => Ok(()),
        1 => Err(Error::Command("one problem was found".into())),
        problems => Err(Error::Command(format!("{problems} problems were found"))),
    }
}
