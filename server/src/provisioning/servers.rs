use registry::servers::Server;
use sqlx::{
    ConnectOptions, Connection, PgConnection, PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use std::{sync::Arc, time::Duration};

/// The database that every server has. All processes meet here: a lock taken in it holds for the whole server.
const MAINTENANCE: &str = "postgres";

/// The database servers as their administrator sees them: may make databases and roles.
#[derive(Clone)]
pub struct Servers {
    primary: Arc<Administered>,
}

pub struct Administered {
    pub server: Server,
    options: PgConnectOptions,
    /// For what is done to the server as a whole: databases and roles.
    pub maintenance: PgPool,
}

impl Servers {
    pub fn new(primary: Server, options: PgConnectOptions) -> Self {
        // A statement may hold what a password is checked against.
        let options = options.disable_statement_logging();
        let maintenance = PgPoolOptions::new()
            .max_connections(4)
            .acquire_timeout(Duration::from_secs(10))
            .idle_timeout(Duration::from_secs(60))
            .connect_lazy_with(options.clone().database(MAINTENANCE));
        Self { primary: Arc::new(Administered { server: primary, options, maintenance }) }
    }

    /// The server with room for one more tenant.
    pub fn with_room(&self) -> Arc<Administered> {
        self.primary.clone()
    }

    pub fn find(&self, server: &Server) -> Option<Arc<Administered>> {
        (self.primary.server.id == server.id).then(|| self.primary.clone())
    }
}

impl Administered {
    /// Connects to one database as the owner of its tables.
    pub async fn connect(&self, database: &str) -> sqlx::Result<PgConnection> {
        PgConnection::connect_with(&self.options.clone().database(database)).await
    }
}
