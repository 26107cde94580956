use super::print_json;
use crate::{
    Error,
    doctor::{self, Finding, Severity},
    installation::Installation,
    provisioning::hardening_script,
};
use clap::Args;
use registry::inventory;

#[derive(Args, Clone, Copy, Debug)]
pub struct Options {
    #[arg(long)]
    json: bool,
    /// Print the psql script with which a superuser restricts tenant roles
    #[arg(long, conflicts_with = "json")]
    sql: bool,
}

/// Fails if a problem was found, so that scripts and monitors notice.
pub async fn run(options: Options, budget: u32, installation: &Installation) -> Result<(), Error> {
    if options.sql {
        return print_sql(installation).await;
    }
    let findings = doctor::examine(&installation.into()).await?;
    if options.json {
        print_json(&findings);
    } else if findings.is_empty() {
        println!("The registry and the database servers match.");
    }
    for Finding { severity, what, advice } in findings.iter().filter(|_| !options.json) {
        let mark = match severity {
            Severity::Problem => "problem",
            Severity::Notice => "notice",
        };
        println!("{mark}: {what}\n         {advice}");
    }
    if !options.json {
        let processes = registry::processes::count(&installation.registry).await?.max(1);
        let advice = installation.servers.check(budget.into(), processes as i64).await;
        advice.iter().for_each(|advice| println!("advice: {advice}"));
    }
    match findings.iter().filter(|finding| finding.severity == Severity::Problem).count() {
        0 => Ok(()),
        1 => Err(Error::Command("one problem was found".into())),
        problems => Err(Error::Command(format!("{problems} problems were found"))),
    }
}

/// Prints one script per server, with its name in a comment.
async fn print_sql(installation: &Installation) -> Result<(), Error> {
    let tenants = inventory::placed_tenants(&installation.registry).await?;
    for server in installation.servers.all().await {
        let here = tenants.iter().filter(|tenant| tenant.server_id == server.server.id);
        let placed: Vec<_> = here.map(|tenant| tenant.database.clone()).collect();
        let databases = server.databases(&placed).await.map_err(|error| {
            Error::Command(format!("cannot inspect the server {}: {error}", server.server.name))
        })?;
        println!("-- The server {}.\n{}", server.server.name, hardening_script(server.owner(), &databases));
    }
    Ok(())
}
