//! What a hostile program can't do.

use crate::bench::{Bench, MIB, SIZES};
use mecapy_runtime::container::{EngineError, Launch, Run, Sizes};

/// Says what it finds, a `name=value` a line.
const LOOK_AROUND: &str = r#"
echo uid=$(id -u):$(id -g)
while read -r name value; do case $name in
  CapEff:|CapPrm:|CapBnd:|NoNewPrivs:|Seccomp:) echo ${name%:}=$value;; esac; done < /proc/self/status
echo interfaces=$(ls /sys/class/net | tr '\n' ' ')
echo greeting=$GREETING
echo host=$(cat /proc/sys/kernel/hostname)
echo first=$(cat /proc/1/comm)
echo work=$(pwd)
touch /x 2>/dev/null && echo root=writable || echo root=read-only
touch /data/x 2>/dev/null && echo data=writable || echo data=read-only
touch /dev/shm/x 2>/dev/null && echo shm=writable || echo shm=none
echo x > /proc/sys/kernel/hostname 2>/dev/null && echo sys=writable || echo sys=read-only
cat /proc/1/environ >/dev/null 2>&1 && echo environ=read || echo environ=denied
cp /bin/true /work/true && /work/true 2>/dev/null && echo exec=work || echo exec=denied
cp /bin/true /tmp/true && /tmp/true 2>/dev/null && echo exectmp=tmp || echo exectmp=denied
mknod /work/null c 1 3 2>/dev/null && echo device=made || echo device=denied
mount -t tmpfs x /tmp 2>/dev/null && echo mount=done || echo mount=denied
ls /var/run/docker.sock 2>/dev/null && echo engine=seen || echo engine=unseen
echo open=$(ulimit -n) core=$(ulimit -c)
head -c 2000000 /dev/zero > /tmp/big 2>/dev/null && echo tmp=unlimited || echo tmp=limited
"#;

#[tokio::test]
async fn security_23_a_hostile_program_finds_nothing_of_the_host() {
    let bench = Bench::new().await;
    let said = bench.run(LOOK_AROUND, SIZES).await;
    for (name, expected) in [
        ("uid", "10001:10001"),
        ("CapEff", "0000000000000000"),
        ("CapPrm", "0000000000000000"),
        ("CapBnd", "0000000000000000"),
        ("NoNewPrivs", "1"),
        ("Seccomp", "2"),
        ("interfaces", "lo"),
        ("greeting", "hello"),
        ("host", "solver"),
        ("work", "/work"),
        ("root", "read-only"),
        ("data", "read-only"),
        ("shm", "none"),
        ("sys", "read-only"),
        ("exec", "denied"),
        ("exectmp", "denied"),
        ("device", "denied"),
        ("mount", "denied"),
        ("engine", "unseen"),
        ("open", "4096 core=0"),
        ("tmp", "limited"),
    ] {
        assert_eq!(said.value(name).trim(), expected, "{name}: {:?}", said.lines);
    }
    said.remove().await;
    bench.nothing_is_left().await;
}

#[tokio::test]
async fn security_23_a_fork_bomb_and_a_huge_file_end_at_their_limits() {
    let bench = Bench::new().await;
    let script = r"
        i=0; while [ $i -lt 100 ]; do sleep 5 & i=$((i+1)); done 2>/dev/null
        echo unreached";
    let said = bench.run(&format!("({script}); exit 0"), SIZES).await;
    assert!(!said.stdout().contains(&"unreached"), "{:?}", said.lines);
    said.remove().await;

    let script = r"
        dd if=/dev/zero of=big bs=1M count=100 2>/dev/null && echo disk=unlimited || echo disk=limited
        rm -f big; truncate -s 1T sparse 2>/dev/null && echo sparse=made || echo sparse=limited
        truncate -s 32M sparse && echo short=made
        i=0; while [ $i -lt 5000 ] && true > f$i; do i=$((i+1)); done 2>/dev/null; echo files=$i";
    let said = bench.run(script, SIZES).await;
    assert_eq!((said.value("disk"), said.value("sparse"), said.value("short")), ("limited", "limited", "made"));
    let files: u64 = said.value("files").parse().unwrap();
    assert!((1000..4000).contains(&files), "{files}");
    said.remove().await;
    bench.nothing_is_left().await;
}

#[tokio::test]
async fn security_24_arguments_stay_what_they_are() {
    let bench = Bench::new().await;
    let volume = bench.volumes.create("v", SIZES.disk_bytes).await.unwrap();
    let hostile = "--privileged; $(reboot) `id` \n-v /:/host \u{202e}'\"";
    let mut launch = bench.launch("", SIZES, &volume);
    launch.command = ["/usr/bin/printf", "%s|", hostile, "--", "a b"].map(str::to_owned).to_vec();
    let run = Run::launch(&bench.engine, &launch).await.unwrap();
    let (_, lines) = crate::bench::watch(&run, &mecapy_runtime::Cancel::new()).await.unwrap();
    let text: Vec<_> = lines.into_iter().map(|(_, line)| line).collect();
    assert_eq!(text.join("\n"), format!("{hostile}|--|a b|"));
    run.remove().await.unwrap();
    volume.remove().await.unwrap();
    bench.nothing_is_left().await;
}

#[tokio::test]
async fn what_can_not_be_launched_says_why_and_leaves_nothing() {
    let bench = Bench::new().await;
    let volume = bench.volumes.create("v", SIZES.disk_bytes).await.unwrap();
    let good = bench.launch("exit 0", SIZES, &volume);
    let missing = format!("sha256:{}", "0".repeat(64));
    let image = Launch { image: missing.parse().unwrap(), ..good.clone() };
    let error = Run::launch(&bench.engine, &image).await.unwrap_err();
    assert!(matches!(&error, EngineError::ImageMissing { image } if image.as_str() == missing), "{error}");
    assert!(!error.retry_helps() && error.to_string().contains("docker load"), "{error}");

    let runtime = Launch { runtime: Some("runsc-that-is-not-there".to_owned()), ..good.clone() };
    let error = Run::launch(&bench.engine, &runtime).await.unwrap_err();
    assert!(matches!(&error, EngineError::RuntimeMissing { .. }), "{error}");

    let sizes = Sizes { cpus: 10_000, ..SIZES };
    let error = Run::launch(&bench.engine, &Launch { sizes, ..good.clone() }).await.unwrap_err();
    assert!(matches!(&error, EngineError::Refused(why) if why.contains("CPU")), "{error}");

    let work = bench.folder.path().join("not-there");
    let error = Run::launch(&bench.engine, &Launch { work, ..good.clone() }).await.unwrap_err();
    assert!(matches!(&error, EngineError::Refused(why) if why.contains("not-there")), "{error}");

    // A program that is not there is the study's fault: it runs, and says so.
    let mut launch = good;
    launch.command = vec!["/usr/bin/no-such-solver".to_owned()];
    let run = Run::launch(&bench.engine, &launch).await.unwrap();
    let (watched, lines) = crate::bench::watch(&run, &mecapy_runtime::Cancel::new()).await.unwrap();
    assert_eq!(watched.exit_code, 127, "{lines:?}");
    assert!(lines.iter().any(|(_, line)| line.contains("no-such-solver")), "{lines:?}");
    run.remove().await.unwrap();
    volume.remove().await.unwrap();
    bench.nothing_is_left().await;
}

#[tokio::test]
async fn memory_and_processor_time_are_counted() {
    let bench = Bench::new().await;
    // Long enough for an engine whose control groups are out of sight, and that samples each second.
    let script =
        "x=$(head -c 30000000 /dev/zero | tr '\\0' x); i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done; sleep 2";
    let said = bench.run(script, Sizes { memory_bytes: 256 * MIB, ..SIZES }).await;
    let usage = said.watched.usage;
    assert!((30 * MIB..=256 * MIB).contains(&usage.memory_peak_bytes), "{usage:?}");
    assert!(usage.cpu_ms > 20.0 && usage.cpu_ms < 60_000.0, "{usage:?}");
    assert!(usage.execute_ms > 20.0 && usage.startup_ms > 1.0 && usage.startup_ms < 60_000.0, "{usage:?}");
    said.remove().await;
    bench.nothing_is_left().await;
}
