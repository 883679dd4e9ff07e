//! What the tests share: the engine, a claim of their own, a run from its script to what it said, and a way to cut the
//! connection to the engine.

use mecapy_model::{LogStream, TaskId, TenantId};
use mecapy_runtime::{
    Cancel,
    container::{Claim, ContainerEngine, EngineError, Launch, Run, Sizes, Volume, Volumes, Watched, sweep},
};
use std::{
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};
use tempfile::TempDir;
use time::OffsetDateTime;
use tokio::{
    io::copy_bidirectional,
    net::{UnixListener, UnixStream},
    task::JoinSet,
};

pub(crate) const MIB: u64 = 1 << 20;
pub(crate) const SIZES: Sizes = Sizes {
    cpus: 1,
    memory_bytes: 64 * MIB,
    disk_bytes: 32 * MIB,
    pids: 32,
    tmp_bytes: MIB,
    output_bytes_max: 8 * MIB,
    wall: Duration::from_secs(60),
};

#[expect(clippy::disallowed_methods, reason = "who runs the tests names the engine in the environment")]
fn told(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set: it names a Docker engine, or an image on it"))
}

pub(crate) fn engine_url() -> String {
    told("MECAPY_TEST_DOCKER")
}

/// An engine, and a place for work folders, which the test's end removes.
pub(crate) struct Bench {
    pub(crate) engine: ContainerEngine,
    pub(crate) volumes: Volumes,
    /// One for each bench, so that no test sweeps another's.
    pub(crate) owner: String,
    pub(crate) folder: TempDir,
}

/// What came of a script.
pub(crate) struct Said {
    pub(crate) watched: Watched,
    pub(crate) lines: Vec<(LogStream, String)>,
    pub(crate) run: Run,
    pub(crate) volume: Volume,
}

impl Said {
    pub(crate) fn stdout(&self) -> Vec<&str> {
        self.lines.iter().filter(|(of, _)| *of == LogStream::Stdout).map(|(_, line)| line.as_str()).collect()
    }

    /// The value of a line `name=value`.
    pub(crate) fn value(&self, name: &str) -> &str {
        let find = |line: &'_ &str| line.split_once('=').is_some_and(|(key, _)| key == name);
        let line = self.stdout().into_iter().find(find).unwrap_or_else(|| panic!("no {name}= in {:?}", self.lines));
        line.split_once('=').unwrap().1
    }

    pub(crate) async fn remove(self) {
        self.run.remove().await.unwrap();
        self.volume.remove().await.unwrap();
    }
}

impl Bench {
    pub(crate) async fn new() -> Self {
        Self::at(&engine_url()).await
    }

    pub(crate) async fn at(url: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self {
            engine: ContainerEngine::connect(url).await.unwrap(),
            volumes: Volumes::open(&folder.path().join("volumes")).await.unwrap(),
            owner: format!("test-{}-{}", std::process::id(), number()),
            folder,
        }
    }

    pub(crate) fn launch(&self, script: &str, sizes: Sizes, volume: &Volume) -> Launch {
        self.launch_as(claim(), script, sizes, volume.path())
    }

    pub(crate) fn launch_as(&self, claim: Claim, script: &str, sizes: Sizes, work: &Path) -> Launch {
        Launch {
            owner: self.owner.clone(),
            claim,
            image: told("MECAPY_TEST_DOCKER_IMAGE").parse().unwrap(),
            command: ["/bin/sh", "-c", script].map(str::to_owned).to_vec(),
            environment: vec![("GREETING".to_owned(), "hello".to_owned())],
            sizes,
            runtime: None,
            work: PathBuf::from(work),
        }
    }

    pub(crate) async fn run(&self, script: &str, sizes: Sizes) -> Said {
        self.run_until(script, sizes, &Cancel::new()).await
    }

    pub(crate) async fn run_until(&self, script: &str, sizes: Sizes, cancel: &Cancel) -> Said {
        let volume = self.volumes.create(&format!("v{}", number()), sizes.disk_bytes).await.unwrap();
        let run = Run::launch(&self.engine, &self.launch(script, sizes, &volume)).await.unwrap();
        let (watched, lines) = watch(&run, cancel).await.unwrap();
        Said { watched, lines, run, volume }
    }

    /// Fails where a container of this test is left.
    pub(crate) async fn nothing_is_left(&self) {
        assert_eq!(self.engine.find(&self.owner).await.unwrap(), []);
        assert_eq!(self.volumes.found().unwrap(), [""; 0]);
    }
}

/// A test that failed leaves containers and mounts: those of others must not meet them.
impl Drop for Bench {
    fn drop(&mut self) {
        let (engine, volumes, owner) = (&self.engine, &self.volumes, &self.owner);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                let swept = runtime.block_on(sweep(engine, volumes, owner, &|_| false));
                if let Err(error) = swept {
                    eprintln!("something of {owner} is left: {error}");
                }
            });
        });
    }
}

pub(crate) async fn watch(run: &Run, cancel: &Cancel) -> Result<(Watched, Vec<(LogStream, String)>), EngineError> {
    let mut lines = Vec::new();
    let mut follower = |of: LogStream, line: &str| lines.push((of, line.to_owned()));
    let watched = run.watch(&mut follower, cancel).await?;
    Ok((watched, lines))
}

/// Where the claims' clock stands.
pub(crate) fn now() -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(1_800_000_000).unwrap()
}

/// A claim of a task that nobody else has.
pub(crate) fn claim() -> Claim {
    let mut random = [0; 10];
    random[..8].copy_from_slice(&number().to_le_bytes());
    Claim {
        task: TaskId::from_parts(u64::from(std::process::id()), &random),
        tenant: TenantId::from_parts(1, &[7; 10]),
        attempt: 1,
        fence: 1,
        deadline: now() + Duration::from_secs(60),
        log_offset: 0,
    }
}

pub(crate) fn number() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// A socket before the engine's, which can be taken away as a restart takes it.
pub(crate) struct Cuttable {
    pub(crate) url: String,
    path: PathBuf,
    target: String,
    connections: JoinSet<()>,
}

impl Cuttable {
    pub(crate) fn new(folder: &Path) -> Self {
        let path = folder.join("cuttable.sock");
        let target =
            engine_url().strip_prefix("unix://").expect("this test needs an engine on a unix socket").to_owned();
        let mut this = Self { url: format!("unix://{}", path.display()), path, target, connections: JoinSet::new() };
        this.open();
        this
    }

    pub(crate) fn open(&mut self) {
        let listener = UnixListener::bind(&self.path).unwrap();
        let target = self.target.clone();
        self.connections.spawn(async move {
            let mut open = JoinSet::new();
            while let Ok((mut near, _)) = listener.accept().await {
                let target = target.clone();
                open.spawn(async move {
                    let mut far = UnixStream::connect(target).await.unwrap();
                    let _ = copy_bidirectional(&mut near, &mut far).await;
                });
            }
        });
    }

    /// Breaks all connections; nobody listens until it is opened again.
    pub(crate) async fn cut(&mut self) {
        self.connections.shutdown().await;
        std::fs::remove_file(&self.path).unwrap();
    }
}
