use super::postgres::Postgres;
use sqlx::ConnectOptions;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Counts the connections to all churches again and again; remembers the most.
pub struct Watch {
    stop: CancellationToken,
    most: JoinHandle<i64>,
}

impl Watch {
    pub fn start(postgres: &Postgres) -> Self {
        let (options, stop) = (postgres.superuser("postgres"), CancellationToken::new());
        let stopped = stop.clone();
        let most = tokio::spawn(async move {
            let mut most = 0;
            while !stopped.is_cancelled() {
                // PostgreSQL may be restarting.
                let Ok(mut superuser) = options.connect().await else {
                    tokio::time::sleep(std::time::Duration::from_millis(20)).await;
                    continue;
                };
                let count = "select count(*) from pg_stat_activity where usename like 'tenant\\_%'";
                while let Ok(now) = sqlx::query_scalar(count).fetch_one(&mut superuser).await
                    && !stopped.is_cancelled()
                {
                    most = most.max(now);
                    tokio::time::sleep(std::time::Duration::from_millis(2)).await;
                }
            }
            most
        });
        Self { stop, most }
    }

    pub async fn stop(self) -> i64 {
        self.stop.cancel();
        self.most.await.expect("it does not panic")
    }
}
