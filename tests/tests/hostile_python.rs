//! Python that attacks: what it may use up ends at a limit, what it may look at is its own, and the next is unharmed.

use anyhow::{Context, Result, ensure};
use mecapy_tests::{Answer, Server, merge, python};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// Beside what each source prints: the answer's own sentence for a person.
async fn fails(server: &Server, source: &str, kinds: &[&str]) -> Result<Answer> {
    let answer = limited(server, source).await?.expect(200)?;
    let kind = answer.str_at("/error/kind").with_context(|| format!("it did not fail: {source}"))?;
    ensure!(kinds.contains(&kind.as_str()), "{kind} instead of {kinds:?}: {source}\n{}", answer.text());
    ensure!(!answer.str_at("/error/message")?.is_empty(), "no message");
    server.probe().await.with_context(|| format!("after {source}"))?;
    Ok(answer)
}

async fn limited(server: &Server, source: &str) -> Result<Answer> {
    let mut body = python(source);
    merge(&mut body, json!({"limits": {"timeout_ms": 1500, "memory_bytes": 402_653_184}}));
    server.preview(&body).await
}

#[tokio::test]
async fn security_01_loops_end_at_the_deadline() -> Result<()> {
    let server = Server::start().await?;
    for source in [
        "while True:\n    pass",
        "import itertools\nfor _ in itertools.count():\n    pass",
        "sum(range(10**12))",
        "try:\n    while True:\n        pass\nexcept BaseException:\n    while True:\n        pass",
    ] {
        let mut body = python(source);
        merge(&mut body, json!({"limits": {"timeout_ms": 300}}));
        let started = Instant::now();
        server.preview(&body).await?.expect_error_kind("timeout")?;
        ensure!(started.elapsed() < Duration::from_millis(800), "{source}: {:?}", started.elapsed());
    }
    Ok(())
}

#[tokio::test]
async fn security_02_sleeping_ends_at_the_deadline_and_holds_no_thread() -> Result<()> {
    let server = Server::start().await?;
    for source in [
        "import time\ntime.sleep(10**9)",
        "import select\nselect.select([], [], [], 10**8)",
        "import time\nwhile True:\n    time.sleep(0)",
    ] {
        for _ in 0..4 {
            fails(&server, source, &["timeout", "exception"]).await?;
        }
    }
    Ok(())
}

#[tokio::test]
async fn security_03_memory_bombs_are_named_and_python_sees_a_memory_error() -> Result<()> {
    let mut server = Server::start().await?;
    server.probe().await?;
    let before = server.process().resting_bytes().await?;
    for source in [
        "x = 'a' * 10**10",
        "x = bytearray(1 << 31)",
        "x = []\nwhile True:\n    x.append(bytearray(1 << 20))",
        "import numpy as np\nx = np.ones((30000, 30000))",
        "x = {}\nwhile True:\n    x[len(x)] = 'v' * 1000",
        "import os\nos.urandom(1 << 31)",
    ] {
        fails(&server, source, &["out_of_memory", "timeout"]).await?;
    }
    let caught = "try:\n    x = bytearray(1 << 30)\nexcept MemoryError:\n    result = 'caught'";
    limited(&server, caught).await?.expect_result(&json!({"result": "caught"}))?;
    server.process().gives_back(before, 200 << 20).await?;
    Ok(())
}

#[tokio::test]
async fn security_05_recursion_ends_in_an_error_of_the_guest() -> Result<()> {
    let server = Server::start().await?;
    let deep = ["exception", "stack_overflow", "invalid_output", "timeout", "out_of_memory"];
    for source in [
        "def f():\n    return f()\nf()",
        "import sys\nsys.setrecursionlimit(10**9)\ndef f():\n    return f()\nf()",
        "class C:\n    def __repr__(self):\n        return repr(self)\nrepr(C())",
        "x = []\nfor _ in range(200000):\n    x = [x]\nresult = x",
        "import json\njson.loads('[' * 200000)",
        "import sys\nsys.setrecursionlimit(10**9)\nx = []\nfor _ in range(200000):\n    x = [x]\nrepr(x)",
        "result = {}\nresult['self'] = result",
        "eval('(' * 100000 + ')' * 100000)",
        "import re\nre.compile('(' * 50000 + ')' * 50000)",
    ] {
        fails(&server, source, &deep).await?;
    }
    Ok(())
}

#[tokio::test]
async fn security_06_output_is_cut_marked_and_harmless() -> Result<()> {
    let mut server = Server::start().await?;
    server.probe().await?;
    let before = server.process().resting_bytes().await?;
    for source in [
        "while True:\n    print('x' * 1000000)",
        "import sys\nwhile True:\n    sys.stdout.write('x')\n    sys.stdout.flush()",
        "import os\nwhile True:\n    os.write(1, b'')",
        "import os\nwhile True:\n    os.write(1, b'no newline')",
    ] {
        let answer = fails(&server, source, &["timeout"]).await?;
        let length = answer.str_at("/stdout")?.len();
        ensure!(length <= 4 << 20, "{length} bytes of output: {source}");
        let marked = answer.at("/stdout_truncated")? == json!(true);
        ensure!(marked || length < 1 << 20, "{length} bytes and no mark: {source}");
    }
    server.process().gives_back(before, 100 << 20).await?;
    let odd =
        "import sys\nsys.stdout.buffer.write(b'\\xff\\xfe a \\x1b[31mred\\x1b]0;title\\x07 \\x00 \\x9b1m')\nresult = 1";
    let answer = server.python(odd).await?.expect_completed()?;
    let text = answer.str_at("/stdout")?;
    ensure!(text.contains("red") && !text.contains(['\u{1b}', '\u{7}', '\u{9b}']), "{text:?}");
    Ok(())
}

#[tokio::test]
async fn security_07_stdin_is_at_its_end() -> Result<()> {
    let server = Server::start().await?;
    server.python("input()").await?.expect_problem(422)?;
    // Past the analysis, which helps but is not the boundary.
    let unseen = "import builtins\ngetattr(builtins, 'in' + 'put')()";
    let ended = fails(&server, unseen, &["exception"]).await?;
    ensure!(ended.str_at("/error/message")?.contains("EOF"), "{}", ended.text());
    server.python("import sys\nresult = sys.stdin.read()").await?.expect_result(&json!({"result": ""}))?;
    Ok(())
}

#[tokio::test]
async fn security_08_randomness_is_bounded() -> Result<()> {
    let server = Server::start().await?;
    fails(&server, "import os\nos.urandom(4 * 1024**3 - 1)", &["out_of_memory", "exception", "timeout"]).await?;
    fails(&server, "import os\nwhile True:\n    os.urandom(1 << 20)", &["exception"]).await?;
    Ok(())
}

#[tokio::test]
async fn security_09_descriptors_are_the_guests_own() -> Result<()> {
    let mut server = Server::start().await?;
    server.probe().await?;
    let before = server.process().open_files()?;
    let many = "files = []\ntry:\n    for i in range(200000):\n        files.append(open('/tmp/f', 'w'))\nexcept OSError as e:\n    result = {'opened': len(files), 'errno': e.errno}";
    let answer = limited(&server, many).await?.expect(200)?;
    if answer.str_at("/state")? == "completed" {
        ensure!(answer.f64_at("/result/opened")? < 200_000.0);
    }
    let close = "import os\nclosed = []\nfor fd in range(3, 4096):\n    try:\n        os.close(fd)\n        closed.append(fd)\n    except OSError:\n        pass\nresult = len(closed) < 20";
    limited(&server, close).await?;
    server.probe().await?;
    let after = server.process().open_files()?;
    ensure!(after <= before + 16, "{before} descriptors before, {after} after");
    Ok(())
}

#[tokio::test]
async fn security_10_no_path_leads_to_a_file_of_the_host() -> Result<()> {
    let server = Server::start().await?;
    let canary = server.data_directory().join("canary.txt");
    std::fs::write(&canary, "CANARY")?;
    let paths = [
        canary.to_string_lossy().into_owned(),
        format!("/work/out/../..{}", canary.display()),
        format!("/tmp/../../../..{}", canary.display()),
        "/etc/passwd".into(),
        "/work/in/../../../etc/passwd".into(),
        "/etc/passwd/".into(),
        "//etc//passwd".into(),
        "../../../etc/passwd".into(),
        "/usr/local/lib/../../../etc/passwd".into(),
        "/tmp/\u{0}/etc/passwd".into(),
        "a/".repeat(32_000),
        "/dev/mem".into(),
        "/sys/kernel".into(),
    ];
    let source = "def main(path):\n    try:\n        return open(path).read()\n    except (OSError, ValueError) as e:\n        return type(e).__name__";
    for path in paths {
        let answer = server.python_with(source, json!({"path": path})).await?.expect_completed()?;
        let read = answer.str_at("/result/result")?;
        ensure!(
            ["FileNotFoundError", "PermissionError", "OSError", "ValueError", "NotADirectoryError"]
                .contains(&read.as_str()),
            "{path:.80}: {read}"
        );
    }
    let tricks = format!(
        "import os\n\
         out = []\n\
         def attempt(name, f):\n    try:\n        out.append([name, str(f())])\n    except Exception as e:\n        out.append([name, type(e).__name__])\n\
         c = '{path}'\n\
         attempt('symlink', lambda: (os.symlink(c, '/work/out/link'), open('/work/out/link').read()))\n\
         attempt('relative', lambda: (os.symlink('../../../../../..' + c, '/tmp/l2'), open('/tmp/l2').read()))\n\
         attempt('chain', lambda: (os.symlink('/tmp', '/tmp/a'), os.symlink('/tmp/a/..', '/tmp/b'), open('/tmp/b/..' + c).read()))\n\
         attempt('hard link', lambda: (os.link(c, '/tmp/hard'), open('/tmp/hard').read()))\n\
         attempt('rename', lambda: (os.symlink(c, '/tmp/s'), os.rename('/tmp/s', '/work/out/s'), open('/work/out/s').read()))\n\
         attempt('truncate', lambda: os.truncate('/usr/local/lib/python315.zip', 0))\n\
         attempt('write', lambda: open('/usr/local/lib/python315.zip', 'r+b').write(b'x'))\n\
         attempt('unlink', lambda: os.unlink(c))\n\
         result = out",
        path = canary.display()
    );
    let answer = server.python(&tricks).await?;
    ensure!(!answer.text().contains("CANARY"), "{}", answer.text());
    ensure!(std::fs::read_to_string(&canary)? == "CANARY", "the canary was changed");
    server.probe().await?;
    Ok(())
}

#[tokio::test]
async fn security_11_files_end_at_the_quota_and_are_gone_at_once() -> Result<()> {
    let mut server = Server::start().await?;
    server.probe().await?;
    let before = server.process().resting_bytes().await?;
    let started = Instant::now();
    for source in [
        "f = open('/work/out/sparse', 'wb')\nf.truncate(1 << 40)",
        "f = open('/tmp/s', 'wb')\nf.seek(1 << 40)\nf.write(b'x')\nf.close()",
        "for i in range(5000000):\n    open(f'/tmp/{i}', 'w').close()",
        "f = open('/tmp/big', 'wb')\nwhile True:\n    f.write(b'x' * (1 << 20))",
        "import os\nfor i in range(10000):\n    os.mkdir('d')\n    os.chdir('d')",
        "import os\np = '/tmp'\nfor i in range(10000):\n    p += '/d'\n    os.mkdir(p)",
    ] {
        fails(&server, source, &["exception", "timeout", "out_of_memory", "invalid_artifact"]).await?;
    }
    ensure!(started.elapsed() < Duration::from_secs(30), "clean-up took {:?}", started.elapsed());
    server.process().gives_back(before, 200 << 20).await?;
    Ok(())
}

#[tokio::test]
async fn security_12_planted_links_are_no_artifacts() -> Result<()> {
    let server = Server::start().await?;
    for source in [
        "import os\nos.symlink('/etc/passwd', '/work/out/passwd')\nresult = 1",
        "import os\nos.symlink('loop', '/work/out/loop')\nresult = 1",
        "import os\nos.symlink('/usr/local/lib/python315.zip', '/work/out/library.zip')\nresult = 1",
        "import os\nos.mkfifo('/work/out/fifo')\nresult = 1",
        "import os, stat\nos.mknod('/work/out/null', 0o600 | stat.S_IFCHR, 259)\nresult = 1",
    ] {
        let answer = server.python(source).await?;
        ensure!(answer.status == 200 || answer.status == 422, "{source}: {}", answer.status);
        if answer.status == 200 {
            let kind = answer.str_at("/error/kind").with_context(|| format!("{source}: {}", answer.text()))?;
            ensure!(["exception", "invalid_artifact"].contains(&kind.as_str()), "{kind}: {source}");
        }
        ensure!(!answer.text().contains("cm9vdD") && !answer.text().contains("root:"), "a file of the host came back");
    }
    Ok(())
}

#[tokio::test]
async fn security_13_artifact_names_are_safe() -> Result<()> {
    let server = Server::start().await?;
    let names = [
        "a\nb",
        "a\rb",
        "x".repeat(300).leak(),
        "gpj.\u{202e}exe",
        "back\\slash",
        "tab\there",
        "\u{200b}hidden",
        "esc\u{1b}[31m",
        "..",
        "../../x",
    ];
    for name in names {
        let source = "def main(name):\n    try:\n        open('/work/out/' + name, 'w').write('x')\n    except OSError:\n        return 'refused'\n    return 'written'";
        let answer = server.python_with(source, json!({"name": name})).await?.expect(200)?;
        if answer.str_at("/state")? == "failed" {
            ensure!(answer.str_at("/error/kind")? == "invalid_artifact", "{name:?}: {}", answer.text());
        } else {
            let artifacts = answer.at("/artifacts")?;
            let listed: Vec<_> = artifacts
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(|a| a.get("name").and_then(Value::as_str))
                .collect();
            let written = answer.at("/result")? == json!({"result": "written"});
            ensure!(
                !written
                    || listed
                        .iter()
                        .all(|l| !l.contains(['\n', '\r', '\\', '\u{202e}', '\u{1b}']) && !l.contains("..")),
                "{name:?}: {listed:?}"
            );
        }
    }
    Ok(())
}

#[tokio::test]
async fn security_21_nothing_of_the_host_is_seen() -> Result<()> {
    let server = Server::start().await?;
    let environment = server.python("import os\nresult = dict(os.environ)").await?.expect_completed()?;
    ensure!(environment.at("/result")? == json!({"HOME": "/tmp", "TMPDIR": "/tmp"}), "{}", environment.text());
    let look = "import os\ndef attempt(f):\n    try:\n        return str(f())\n    except BaseException as e:\n        return type(e).__name__\n\
        result = [sorted(os.listdir('/')), attempt(lambda: os.listdir('/proc')), attempt(lambda: os.listdir('/sys')), attempt(lambda: os.listdir('/dev')),\n\
        attempt(lambda: open('/proc/self/environ').read()), attempt(lambda: getattr(os, 'fork')()), attempt(lambda: getattr(os, 'kill')(1, 9)),\n\
        attempt(lambda: __import__('sock' + 'et').create_connection(('127.0.0.1', 80))), attempt(lambda: __import__('sub' + 'process').run(['id'])),\n\
        attempt(lambda: __import__('multi' + 'processing').Process(target=print).start()), attempt(lambda: __import__('_th' + 'read').start_new_thread(print, ())),\n\
        attempt(lambda: __import__('ct' + 'ypes').CDLL(None).getpid())]";
    let answer = server.python(look).await?.expect_completed()?;
    let seen = answer.at("/result/result")?;
    let first: Vec<&str> =
        seen.get(0).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect();
    ensure!(first.iter().all(|name| ["tmp", "work", "usr"].contains(name)), "{first:?}");
    for (index, item) in seen.as_array().into_iter().flatten().enumerate().skip(1) {
        let name = item.as_str().unwrap_or_default();
        let is_error = name.ends_with("Error") || name.ends_with("Exception") || name == "UnsupportedOperation";
        ensure!(is_error, "the attempt {index} saw {name}");
    }
    Ok(())
}

#[tokio::test]
async fn security_21_introspection_and_bytecode_stay_inside() -> Result<()> {
    let server = Server::start().await?;
    let inside = [
        "result = len(().__class__.__base__.__subclasses__())",
        "g = (x for x in [1])\nresult = sorted(g.gi_frame.f_globals)",
        "import gc\nresult = len(gc.get_objects())",
        "def f():\n    pass\nf.__code__ = f.__code__.replace(co_code=bytes(range(256)) * 4)\nf()",
        "def f():\n    pass\nf.__code__ = f.__code__.replace(co_consts=(), co_stacksize=0, co_code=b'd\\xff' * 64)\nf()",
        "import marshal, types\nexec(marshal.loads(b'c' + b'\\xff' * 200))",
        "import _host\nresult = [repr(_host.call(bytes([b]) + p)) for b in range(256) for p in (b'', b'\\xff' * 40, b'{}') if bytes([b]) != b'r']",
    ];
    for source in inside {
        let answer = limited(&server, source).await?;
        ensure!([200, 422].contains(&answer.status), "{source}: {} {}", answer.status, answer.text());
        let text = answer.text();
        ensure!(
            !text.contains("admin.key") && !text.contains(server.key()) && !text.contains("MECAPY"),
            "{source}: {text}"
        );
        server.probe().await.with_context(|| format!("after {source}"))?;
    }
    Ok(())
}

#[tokio::test]
async fn security_22_bombs_of_the_language_are_contained_and_named() -> Result<()> {
    let server = Server::start().await?;
    let rows: [(&str, &[&str]); 8] = [
        ("x = 'a' * 10**10", &["out_of_memory"]),
        ("x = 10**10**8", &["timeout", "out_of_memory", "out_of_fuel"]),
        ("import re\nre.match('(a+)+$', 'a' * 40 + 'b')", &["timeout"]),
        ("import pickle\npickle.loads(b\"cos\\nsystem\\n(S'id'\\ntR.\")", &["exception"]),
        (
            "import pickle\npickle.loads(b'\\x80\\x04]' + b'(' + b'2' * 60 + b'l.' )",
            &["exception", "out_of_memory", "timeout"],
        ),
        ("import pickle\npickle.loads(b'\\x80\\x04B\\xff\\xff\\xff\\x7f')", &["exception", "out_of_memory"]),
        ("x = ['lol']\nfor _ in range(40):\n    x = x * 10", &["out_of_memory", "timeout"]),
        ("int('9' * 4000000)", &["exception", "timeout"]),
    ];
    for (source, kinds) in rows {
        fails(&server, source, kinds).await?;
    }
    Ok(())
}
