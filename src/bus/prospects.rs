//! What systemd is about to do with the service that this process is of.

use std::time::Duration;

use tokio::time::timeout;
use zbus::{Connection, OwnedObjectPath, Proxy};

const SYSTEMD: &str = "org.freedesktop.systemd1";
/// How long all of the conversation may take.
const LIMIT: Duration = Duration::from_secs(2);

/// What systemd is about to do with a service.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Prospects {
    /// The kind of job that it has for it: `start`, `restart`, `stop`, …; empty: none.
    pub job: String,
    /// `Restart=` of the service: `on-failure`, `no`, ….
    pub restart: String,
}

/// What systemd is about to do with the service of this process; nothing, if it cannot be asked.
pub async fn prospects() -> Prospects {
    let answer = timeout(LIMIT, ask()).await;
    answer.ok().and_then(Result::ok).unwrap_or_default()
}

async fn ask() -> zbus::Result<Prospects> {
    let bus = Connection::system().await?;
    let manager = Proxy::new(
        &bus,
        SYSTEMD,
        "/org/freedesktop/systemd1",
        "org.freedesktop.systemd1.Manager",
    )
    .await?;
    // 0 is whoever asks.
    let unit: OwnedObjectPath = manager.call("GetUnitByPID", &(0_u32,)).await?;
    let service = Proxy::new(
        &bus,
        SYSTEMD,
        unit.clone(),
        "org.freedesktop.systemd1.Service",
    )
    .await?;
    let restart = service.get_property("Restart").await?;
    let unit = Proxy::new(&bus, SYSTEMD, unit, "org.freedesktop.systemd1.Unit").await?;
    let (number, job): (u32, OwnedObjectPath) = unit.get_property("Job").await?;
    let job = if number == 0 {
        String::new()
    } else {
        let job = Proxy::new(&bus, SYSTEMD, job, "org.freedesktop.systemd1.Job").await?;
        job.get_property("JobType").await?
    };
    Ok(Prospects { job, restart })
}
