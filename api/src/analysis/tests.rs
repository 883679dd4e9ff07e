//! One row for each thing that is found, and one for each that must pass.

use super::*;
use std::time::{Duration, Instant};

const AVAILABLE: [&str; 34] = [
    "math",
    "os",
    "sys",
    "json",
    "time",
    "random",
    "io",
    "pathlib",
    "typing",
    "contextlib",
    "functools",
    "importlib",
    "socket",
    "subprocess",
    "threading",
    "concurrent",
    "multiprocessing",
    "urllib",
    "signal",
    "asyncio",
    "numpy",
    "scipy",
    "pandas",
    "matplotlib",
    "sympy",
    "sklearn",
    "PIL",
    "bs4",
    "yaml",
    "pickle",
    "configparser",
    "pylab",
    "tomllib",
    "statistics",
];
const UNAVAILABLE: [(&str, &str); 8] = [
    ("socket", "there is no network; upload the data and read it under /work/in"),
    ("subprocess", "it can't start programs."),
    ("multiprocessing", "it is one process."),
    ("ctypes", "it can't load native libraries."),
    ("requests", "there is no network."),
    ("urllib.request", "there is no network."),
    ("tkinter", "there is no screen."),
    ("winreg", "it is not Windows."),
];

fn catalogue() -> Catalogue {
    Catalogue::new(
        AVAILABLE.map(str::to_owned),
        UNAVAILABLE.map(|(module, advice)| (module.to_owned(), advice.to_owned())),
    )
}

/// `expected` lists what is found as `code@line:column words`, warnings as `warning code@line words`.
fn check(source: &str, expected: &[&str]) {
    check_entry(source, None, expected);
}

fn check_entry(source: &str, entry: Option<&str>, expected: &[&str]) {
    let analysis = analyse(source, entry, &catalogue());
    let faults = analysis.faults.iter().map(|fault| {
        let place = fault.line.map_or(fault.pointer.clone(), |line| format!("{line}:{}", fault.column.unwrap()));
        format!("{}@{place} {}", fault.code, fault.message)
    });
    let warnings = analysis.warnings.iter().map(|warning| {
        let place = warning.line.map_or(String::new(), |line| line.to_string());
        format!("warning {}@{place} {}", warning.code, warning.message)
    });
    let found: Vec<String> = faults.chain(warnings).collect();
    let matches = |found: &String, expected: &&str| {
        let (place, words) =
            expected.split_once(' ').map_or((*expected, ""), |_| match expected.strip_prefix("warning ") {
                Some(rest) => expected.split_at("warning ".len() + rest.find(' ').unwrap_or(rest.len())),
                None => expected.split_at(expected.find(' ').unwrap()),
            });
        found.starts_with(&format!("{place} ")) && found.contains(words.trim())
    };
    let all =
        found.len() == expected.len() && found.iter().zip(expected).all(|(found, expected)| matches(found, expected));
    assert!(all, "\n--- source\n{source}\n--- found\n{}\n--- expected\n{}\n", found.join("\n"), expected.join("\n"));
}

#[test]
fn sources_that_must_pass() {
    for source in [
        "",
        "\u{feff}result = 1\n",
        "result = 1",
        "import numpy as np\ndef main(a, b=2):\n    return float(np.sqrt(a * b))\n",
        "import matplotlib.pyplot as plt\nfig, ax = plt.subplots()\nfig.savefig('/work/out/a.png')\n",
        "from scipy.optimize import brentq\nresult = brentq(lambda x: x**2 - 2, 0, 2)\n",
        "try:\n    import requests\nexcept ImportError:\n    requests = None\nresult = 1\n",
        "try:\n    import tomllib\nexcept ModuleNotFoundError:\n    import tomli as tomllib\nresult = 1\n",
        "try:\n    import cupy\nexcept (ImportError, OSError):\n    pass\n",
        "try:\n    import cupy\nexcept:\n    pass\n",
        "from contextlib import suppress\nwith suppress(ImportError):\n    import cupy\n",
        "import sys\nif sys.platform == 'win32':\n    import winreg\nelse:\n    import fcntl\n",
        "import os\nif os.name == 'nt':\n    os.system('cls')\n",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import torch\n",
        "if False:\n    import torch\n",
        "try:\n    n = input()\nexcept EOFError:\n    n = 3\n",
        "def main(input):\n    return input('x')\n",
        "import os\nos.makedirs('/work/out/a', exist_ok=True)\nprint(os.path.join('a', 'b'), os.getpid())\n",
        "class Beam:\n    def system(self):\n        return self\nos = Beam()\nresult = os.system()\n",
        "def main():\n    subprocess = 3\n    return subprocess\n",
        "import os\nos.environ['OMP_NUM_THREADS'] = '1'\nx = os.environ.get('N', '3')\ny = os.environ['HOME']\n",
        "with open('/work/in/data.csv') as f, open('/tmp/x', 'w') as g:\n    g.write(f.read())\n",
        "open('data.csv')\n",
        "import threading\nlock = threading.Lock()\n",
        "import asyncio\nasync def main_async():\n    await asyncio.sleep(0)\n    return [x async for x in y]\n",
        "match 3:\n    case [1, *rest] if rest:\n        pass\n    case {'a': b, **other}:\n        pass\n    case _:\n        pass\n",
        "type Force = float\ndef f[T](x: T) -> T:\n    return x\n",
        "lazy import json\nresult = json.dumps(1)\n",
        "rows = [[1, 2], [3]]\nflat = [*row for row in rows]\n",
        "import numpy as np\nname = f\"{np.pi:.{3}f} {'a' if 1 else 'b'} {f'{1}'}\"\n",
        "while True:\n    for i in range(3):\n        if i: break\n    else:\n        continue\n    break\n",
        "def g():\n    yield 1\n    x = yield 2\n    return x\nlambda: (yield)\n",
        "from scipy.optimize import differential_evolution\ndifferential_evolution(f, b, workers=1)\n",
        "from __future__ import annotations\nimport __future__\n",
        "def main(): return 1\nif __name__ == '__main__':\n    print(main())\n",
        "exec('import socket')\n",
        "é = 1\nΔσ = é * 2\nresult = Δσ\n",
        "try:\n    pass\nexcept* ValueError:\n    pass\n",
        "try:\n    pass\nexcept ValueError, TypeError:\n    pass\n",
        "t = t'{1}'\n",
        "x = 1\r\ny = 2\rz = 3\n",
    ] {
        check(source, &[]);
    }
}

#[test]
fn imports() {
    for (source, expected) in [
        ("import socket\n", "socket@"),
        (
            "x = 1\nimport json, socket as s\n",
            "module_unavailable@2:14 socket can't be used in a sandbox. There is no network; upload the data and read it under /work/in.",
        ),
        ("from socket import socket\n", "module_unavailable@1:6 socket"),
        ("import urllib.request\n", "module_unavailable@1:8 urllib.request can't"),
        ("from urllib import request\n", "module_unavailable@1:6 urllib.request can't"),
        ("from urllib.request import urlopen\nurlopen('http://x')\n", "module_unavailable@1:6 urllib.request"),
        ("import urllib\nurllib.request.urlopen('http://x')\n", "module_unavailable@2:1 urllib.request"),
        ("import requests\nrequests.get('http://x')\n", "module_unavailable@1:8 requests"),
        ("def main():\n    import tkinter\n", "module_unavailable@2:12 no screen"),
        ("import scikit_learn\n", "module_missing@1:8 did you mean sklearn?"),
        ("import np\n", "module_missing@1:8 did you mean numpy?"),
        ("import plt\n", "module_missing@1:8 did you mean matplotlib.pyplot?"),
        ("import nunpy as np\n", "module_missing@1:8 did you mean numpy?"),
        ("import Scipy\n", "module_missing@1:8 did you mean scipy?"),
        ("from beautifulsoup4 import BeautifulSoup\n", "module_missing@1:6 did you mean bs4?"),
        ("import pillow\n", "module_missing@1:8 did you mean PIL?"),
        ("import ConfigParser\n", "module_missing@1:8 did you mean configparser?"),
        ("import distutils.core\n", "module_missing@1:8 Python no longer has"),
        (
            "import torch.nn as nn\n",
            "module_missing@1:8 no module torch here, and none can be installed. There are Python's standard library and numpy, scipy",
        ),
        ("from . import helper\n", "relative_import@1:1 single source"),
        ("from .beam import load\n", "relative_import@1:7 single source"),
        ("from torch import *\n", "module_missing@1:6 torch"),
        ("try:\n    import torch\nexcept ValueError:\n    pass\n", "module_missing@2:12 torch"),
        ("import sys\nif sys.argv:\n    import torch\n", "module_missing@3:12 torch"),
    ] {
        let expected = if expected == "socket@" { "module_unavailable@1:8 socket" } else { expected };
        check(source, &[expected]);
    }
    check("import torch\nimport socket\n", &["module_missing@1:8 torch", "module_unavailable@2:8 socket"]);
}

#[test]
fn calls_that_would_fail() {
    for (source, expected) in [
        ("import os\nos.system('ls')\n", "process@2:1 can't start other programs"),
        ("import os as o\nx = o.popen('ls')\n", "process@2:5"),
        ("from os import system\nsystem('ls')\n", "process@2:1"),
        ("from os import system as run\nrun('ls')\n", "process@2:1"),
        ("from os import *\nsystem('ls')\n", "process@2:1"),
        ("import os\nos.fork()\n", "process@2:1"),
        ("import os\nos.execvp('a', [])\n", "process@2:1"),
        ("import os\nos.spawnl(0, 'a')\n", "process@2:1"),
        ("import threading\nt = threading.Thread(target=f)\n", "threads@2:5 submit a batch"),
        ("from threading import Thread as T\nT().start()\n", "threads@2:1"),
        (
            "from concurrent.futures import ThreadPoolExecutor\nwith ThreadPoolExecutor() as p:\n    pass\n",
            "threads@2:6",
        ),
        ("import concurrent.futures as cf\ncf.ProcessPoolExecutor()\n", "process@2:1 one core"),
        ("d = float(input('d?'))\n", "terminal@1:11 task's inputs"),
        ("def main():\n    return input()\n", "terminal@2:12"),
        ("breakpoint()\n", "terminal@1:1 print"),
        ("import pandas as pd\npd.read_csv('https://example.org/a.csv')\n", "network@2:1 upload the data"),
        ("class A:\n    def f(self):\n        input()\nresult = A().f()\n", "terminal@3:9"),
        ("ä = 'ä'; input()\n", "terminal@1:10"),
    ] {
        check(source, &[expected]);
    }
}

#[test]
fn calls_that_do_something_else() {
    for (source, expected) in [
        ("import matplotlib.pyplot as plt\nplt.show()\n", "warning figures@2 PNG artifacts"),
        ("from matplotlib import pyplot\npyplot.show()\n", "warning figures@2"),
        ("from pylab import *\nshow()\n", "warning figures@2"),
        ("import matplotlib\nmatplotlib.use('TkAgg')\n", "warning figures@2 TkAgg"),
        ("import time\ntime.sleep(1)\n", "warning sleep@2"),
        ("from time import sleep\nsleep(1)\n", "warning sleep@2"),
        ("open('/home/me/data.csv')\n", "warning host_path@1 /work/in"),
        ("open(file='C:\\\\data.csv')\n", "warning host_path@1"),
        ("from pathlib import Path\nPath('~/a').read_text()\n", "warning host_path@2"),
        ("import numpy as np\nnp.loadtxt('/data/x.txt')\n", "warning host_path@2"),
        ("open('/workshop/x')\n", "warning host_path@1"),
        ("import os\nx = os.environ['TOKEN']\n", "warning environment@2 TOKEN"),
        ("import os\nx = os.getenv('TOKEN')\n", "warning environment@2 TOKEN"),
        ("import scipy.optimize as so\nso.differential_evolution(f, b, workers=-1)\n", "warning one_core@2 workers=1"),
        ("def main():\n    return 1\nif __name__ == '__main__':\n    print(input())\n", "warning terminal@4"),
        ("def main():\n    return 1\ndef by_hand():\n    return input()\n", "warning terminal@4"),
        ("async def main():\n    return 1\n", "warning async_entry@ without async"),
    ] {
        check(source, &[expected]);
    }
}

#[test]
fn syntax_errors() {
    let mut wrong: Vec<String> = Vec::new();
    for (source, expected) in [
        ("def main(:\n    pass\n", "syntax@1:9 '(' is never closed"),
        ("x = (1\ny = 2\n", "syntax@1:5 '(' is never closed"),
        ("x = 1)\n", "syntax@1:6 closes nothing"),
        ("x = [1)\n", "syntax@1:7 can't close the '['"),
        ("print 'x'\n", "syntax@1:7 print(…)"),
        ("if x = 1:\n    pass\n", "syntax@1:6 `==` compares"),
        ("if x\n    pass\n", "syntax@1:5 must end in a colon"),
        ("def f()\n    pass\n", "syntax@1:8 must end in a colon"),
        ("%matplotlib inline\n", "syntax@1:1 notebook command"),
        ("!pip install numpy\n", "syntax@1:1 notebook command"),
        ("pip install numpy\n", "syntax@1:5 can't be installed"),
        ("import scikit-learn\n", "syntax@1:14 hyphen"),
        ("x = “a”\n", "syntax@1:5 typographic quote"),
        ("x = 3 − 2\n", "syntax@1:7 minus"),
        ("x = 3²\n", "syntax@1:6 **"),
        ("x =\u{a0}3\n", "syntax@1:4 invisible"),
        ("x = 'abc\n", "syntax@1:5 quote"),
        ("def f():\n  x = 1\n    y = 2\n", "syntax@3:1 indentation"),
        ("x = 08\n", "syntax@1:5"),
        ("f(a=1, a=2)\n", "syntax@1:8 keyword argument"),
        ("def f(a, a): pass\n", "syntax@1:10 parameter"),
        ("return 1\n", "syntax@1:1 result = …"),
        ("x = 1\nif x:\n    return x\n", "syntax@3:5 result = …"),
        ("class A:\n    return 1\n", "syntax@2:5"),
        ("break\n", "syntax@1:1 outside loop"),
        ("for i in x:\n    def f():\n        continue\n", "syntax@3:9 outside loop"),
        ("for i in x:\n    pass\nelse:\n    break\n", "syntax@4:5 outside loop"),
        ("yield 1\n", "syntax@1:1"),
        ("await x\n", "syntax@1:1"),
        ("def f():\n    await x\n", "syntax@2:5"),
        ("def f():\n    from math import *\n", "syntax@2:5 module level"),
        ("import os\nfrom __future__ import annotations\n", "syntax@2:1 top of the file"),
        ("def f(x):\n    global x\n", "syntax@2:12 parameter"),
        ("*a = 1\n", "syntax@1:1"),
        ("1 = x\n", "syntax@1:1"),
        ("x = 1\0\n", "syntax@1:6 null"),
        ("f'{a'\n", "syntax@1:"),
    ] {
        let analysis = analyse(source, None, &catalogue());
        let first = analysis.faults.first().unwrap_or_else(|| panic!("nothing found in {source:?}"));
        let (place, words) = expected.split_once(' ').unwrap_or((expected, ""));
        let found = format!("{}@{}:{}", first.code, first.line.unwrap(), first.column.unwrap());
        if !found.starts_with(place) || !first.message.contains(words) {
            wrong.push(format!("{source:?}: {found} {}", first.message));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn entries() {
    let two = "def stress(F, A=1.0, /, *, k=1):\n    return F\ndef strain(s, **more): pass\n";
    check_entry(two, Some("stress"), &[]);
    check_entry(two, Some("stres"), &["entry_missing@/code/entry did you mean stress?"]);
    check_entry(two, Some("solve"), &["entry_missing@/code/entry It defines: stress, strain."]);
    check_entry("result = 1\n", Some("main"), &["entry_missing@/code/entry it defines none"]);
    check_entry("result = 1\n", Some("a b"), &["entry_invalid@/code/entry"]);
    for source in [
        "from math import sqrt as run\n",
        "run = lambda x: x\n",
        "if 1:\n    def run(): pass\n",
        "class run: pass\n",
        "def f():\n    global run\n    run = 1\nf()\n",
        "globals()['run'] = print\n",
        "exec('def run(): pass')\n",
        "from math import *\n",
    ] {
        check_entry(source, Some("run"), &[]);
    }
    check_entry("def f():\n    run = 1\n", Some("run"), &["entry_missing@/code/entry"]);
    let analysis = analyse(two, None, &catalogue());
    assert!(!analysis.has_entry);
    let [stress, strain] = &analysis.functions[..] else { panic!("{:?}", analysis.functions) };
    assert_eq!((stress.line, &*stress.name, stress.accepts_any), (1, "stress", false));
    assert_eq!(stress.parameters, [Parameter { name: "k".to_owned(), required: false }]);
    assert_eq!((strain.line, strain.accepts_any, strain.parameters[0].required), (3, true, true));
    assert!(analyse("def main(): pass\n", None, &catalogue()).has_entry);
}

#[test]
fn imported_modules_are_collected_from_everywhere() {
    let source = "import os.path, numpy as np\ndef f():\n    from scipy.linalg import solve\ntry:\n    import pandas\nexcept ImportError:\n    pass\n";
    let expected = ["numpy", "os", "pandas", "scipy"].map(str::to_owned);
    assert_eq!(analyse(source, None, &catalogue()).imports, BTreeSet::from(expected));
}

#[test]
fn findings_are_bounded() {
    let many = analyse(&"import torch\n".repeat(1_000), None, &catalogue());
    assert_eq!(many.faults.len(), FINDINGS_MAX);
    let long = analyse(&format!("import {}\n", "x".repeat(500_000)), None, &catalogue());
    assert!(long.faults[0].message.len() < 500, "{}", long.faults[0].message.len());
    let large = analyse(&"#".repeat(SOURCE_BYTES_MAX + 1), None, &catalogue());
    assert_eq!(large.faults[0].code, "source_too_large");
}

/// Sources made to exhaust a stack or to take more than linear time; each must answer, soon.
#[test]
fn hostile_sources_are_survived() {
    let mib = SOURCE_BYTES_MAX;
    let fill = |unit: &str| [unit.repeat(mib / unit.len()), unit.repeat(BROKEN_SOURCE_BYTES_MAX / unit.len())];
    let indented = |head: &str| (0..1_400).map(|depth| format!("{}{head}\n", " ".repeat(depth))).collect::<String>();
    let mut sources: Vec<String> = super::hostile::UNITS.iter().copied().flat_map(fill).collect();
    sources.push(format!("{}1{}", "(".repeat(mib / 2 - 1), ")".repeat(mib / 2 - 1)));
    sources.push(format!("f\"\"\"{{ \"\"\" \n{}", "-".repeat(mib - 100)));
    sources.push(format!("f\"\"\"{{ \"\"\" \n{}", "a.".repeat(mib / 2 - 100)));
    sources.push(format!("f\"\"\"{{ \"\"\" \n{}", "-".repeat(15_000)));
    sources.push(format!("f\"\"\"{{ \"\"\" \n{}", "a.".repeat(7_500)));
    sources.push(format!("class A[{}]: pass", (0..100_000).map(|i| format!("T{i},")).collect::<String>()));
    sources.push(format!("def f({}): pass", (0..100_000).map(|i| format!("a{i},")).collect::<String>()));
    sources.push(format!("f({})", (0..100_000).map(|i| format!("a{i}=1,")).collect::<String>()));
    sources.push(format!("[a {}]", "for a in b if c ".repeat(6_000)));
    sources.push(format!("{}a{}", "[a for a in ".repeat(BRACKETS_MAX), "]".repeat(BRACKETS_MAX)));
    sources.push(format!("{}a{}", "[".repeat(BRACKETS_MAX), " for a in b]".repeat(BRACKETS_MAX)));
    sources.push(format!("(a b\n{}", indented("for a,b in c:")));
    for (unit, levels) in [
        ("1+", 1),
        ("-", 1),
        ("not ", 1),
        ("a.", 1),
        ("a**", 1),
        ("lambda:", 1),
        ("lambda a:", 1),
        ("1 if 1 else ", 2),
        ("await ", 1),
        ("a@", 1),
    ] {
        let chain = unit.repeat(NESTING_MAX / levels - 10);
        sources.push(format!("async def f():\n    x = {chain}a\n"));
    }
    let after_brackets = |after: &str, count: usize| {
        format!("x = {}a{}", "(".repeat(BRACKETS_MAX), format!("){}", after.repeat(count)).repeat(BRACKETS_MAX))
    };
    for (after, count) in [
        ("+a", NESTING_MAX / BRACKETS_MAX - 2),
        ("+a", 2_500),
        (".a", 2_500),
        ("()", 2_500),
        ("**a", 1_700),
        (" if a else a", 400),
    ] {
        sources.push(after_brackets(after, count));
    }
    sources.push(format!("x = a{}", "()".repeat(NESTING_MAX / 2 - 10)));
    sources.push(format!("x = a{}", "[0]".repeat(NESTING_MAX / 2 - 10)));
    sources.push(format!("x = {}1{}", "(".repeat(BRACKETS_MAX), ")".repeat(BRACKETS_MAX)));
    sources.push(format!("match a:\n case {}: pass", "a|".repeat(15_000) + "a"));
    sources.push(format!("match a:\n case {}: pass", "[".repeat(BRACKETS_MAX) + &"]".repeat(BRACKETS_MAX)));
    sources.extend(["if a:", "def f():", "class A:", "async def f():", "while a:", "try:", "with a:"].map(indented));
    for source in &sources {
        let started = Instant::now();
        let analysis = analyse(source, None, &catalogue());
        let took = started.elapsed();
        assert!(took < Duration::from_secs(5), "{took:?} for {:?}…", source.chars().take(40).collect::<String>());
        assert!(analysis.faults.iter().all(|fault| fault.message.len() < 1_000));
    }
}

/// Every prefix of a source that uses much of the language, and the source with each byte changed: never a panic,
/// for which the analysis would say `not_analysed`.
#[test]
fn cut_and_changed_sources_never_panic() {
    let source = "import numpy as np\nfrom os import (path, system as s)\n@dec(1)\nasync def f[T](a, /, b: int = 1, *c, d, **e) -> 'x':\n    \
        async with a as (b, c), d: pass\n    return [x async for x in y if x]\nclass A(B, m=1):\n    x: int = f'{a!r:>{w}} {b=}'\n    \
        def g(self): yield from (i := 1, *z)\nmatch v:\n    case {'k': [1, *r], **o} | A(x=1) as q if r: pass\ntry: pass\nexcept* (E, F) as e: raise G from e\n\
        finally: del a[1:2, ...], b.c\nx = lambda *a, k=1: a if b else not c or d ** -e @ f\nwhile 1:\n    s('''t''' rb\"u\")\n";
    for end in (0..=source.len()).filter(|&end| source.is_char_boundary(end)) {
        let analysis = analyse(&source[..end], None, &catalogue());
        assert!(analysis.warnings.iter().all(|warning| warning.code != "not_analysed"), "{:?}", &source[..end]);
    }
    for index in 0..source.len() {
        for byte in *b"([{}'\"\n:,.= \\#f*" {
            let mut bytes = source.as_bytes().to_vec();
            bytes[index] = byte;
            let changed = String::from_utf8(bytes).unwrap();
            let analysis = analyse(&changed, None, &catalogue());
            assert!(analysis.warnings.iter().all(|warning| warning.code != "not_analysed"), "{changed:?}");
        }
    }
}

#[test]
fn an_ordinary_source_takes_well_under_a_millisecond() {
    let source = "import numpy as np\nfrom scipy.sparse import csr_matrix\n\ndef stiffness(E, A, L, c, s):\n    \"\"\"Element matrix of a truss bar.\"\"\"\n    \
        k = E * A / L\n    m = np.array([[c * c, c * s], [c * s, s * s]])\n    return k * np.block([[m, -m], [-m, m]])\n\n"
        .repeat(12);
    let catalogue = catalogue();
    let mut times: Vec<Duration> = (0..200)
        .map(|_| {
            let started = Instant::now();
            let analysis = analyse(&source, None, &catalogue);
            assert_eq!(analysis.faults, []);
            started.elapsed()
        })
        .collect();
    times.sort();
    let median = times[times.len() / 2];
    println!("{} lines: {median:?}", source.lines().count());
    assert!(median < Duration::from_millis(2), "{median:?}");
}
