//! Python that hands the host's kernels of linear algebra what it likes: wild addresses, arrays that lie about their
//! size, requests of random bytes. The sandbox goes on or ends with an error; the host and the next one are unharmed.

use anyhow::{Context, Result, ensure};
use mecapy_tests::{Answer, Server, merge, python};
use serde_json::{Value, json};

/// An array of doubles at any address, as a C extension could have made it.
const WILD: &str = "\
import numpy as np

class At:
    def __init__(self, address, shape, strides=None):
        self.__array_interface__ = {
            'shape': shape, 'typestr': '<f8', 'data': (address, False), 'version': 3, 'strides': strides,
        }

def wild(address, shape, strides=None):
    return np.asarray(At(address, shape, strides))

a = np.random.default_rng(1).standard_normal((200, 200))
";

/// What a request for a sparse system looks like, and a matrix that is solved by one.
const REQUESTS: &str = "\
import importlib
import random
import struct

import numpy as np
import scipy.sparse

# The door is no module that a task would name: it is asked for by one that means no good.
_host = importlib.import_module('_host')

def address(array):
    return array.__array_interface__['data'][0]

def ask(frame):
    try:
        return bytes(_host.call(frame) or b'')
    except Exception:
        return b'refused'

def request(operation, flags, words):
    return b'k' + bytes([operation, flags]) + bytes(6) + struct.pack(f'<{len(words)}Q', *words)

side, eye = scipy.sparse.diags_array([-1.0, 4.0, -1.0], offsets=[-1, 0, 1], shape=(20, 20)), scipy.sparse.eye_array(20)
grid = (scipy.sparse.kron(side, eye) + scipy.sparse.kron(eye, side)).tocsc()
grid.sort_indices()
size, count = grid.shape[0], grid.nnz
starts, indices, values = grid.indptr.astype('u4'), grid.indices.astype('u4'), grid.data.copy()
given, solution, order = np.ones(size), np.zeros(size), np.zeros(size, 'u4')
matrix = [size, count, address(starts), address(indices), address(values)]
odd = [0, 1, 7, 8, size, count, 2**31 - 1, 2**31, 2**32 - 1, 2**32, 2**40, 2**63, 2**64 - 1]
chance = random.Random(1)
";

/// Requests that are nearly right, over arrays that are nearly right; what is written is always an array of its own.
const NEARLY_RIGHT: &str = "\
assert ask(request(1, 0, matrix + [address(given), 1, address(solution)])) == b'+', 'the host does not solve it'
assert np.allclose(grid @ solution, given)
analysed = ask(request(2, 0, matrix + [address(order)]))
lengths = struct.unpack('<2Q', analysed[1:])
method = 1 if lengths[1] else 0
length = lengths[method]
factors = np.zeros(length // 8 + 1)
assert ask(request(3, 0, matrix + [address(order), method, address(factors), length])) == b'+', 'no factors'
arrays = [starts, indices, values.view('u4'), order, factors.view('u4')]
right = [array.copy() for array in arrays]
seen = {}
for number in range(2500):
    if number % 3:
        spoiled = chance.choice(arrays)
        word = chance.choice([0, 1, 0xffff_ffff, 0x7fff_ffff, chance.randrange(2**32)])
        spoiled[chance.randrange(len(spoiled))] = word
    words = list(matrix)
    if number % 2:
        words[chance.randrange(5)] = chance.choice(odd)
    operation = chance.choice([1, 1, 2, 3, 4])
    if operation == 1:
        words += [address(given), chance.choice([0, 1, 1]), address(solution)]
    elif operation == 2:
        words = matrix + [address(order)]
    elif operation == 3:
        words += [address(order), chance.choice([method, method, 0, 2]), address(factors), length]
    else:
        words += [address(factors), length, address(given), 1, address(solution)]
    answer = ask(request(operation, chance.choice([0, 0, 1, 2, 255]), words))[:1].decode('latin-1')
    seen[answer] = seen.get(answer, 0) + 1
    for array, good in zip(arrays, right):
        array[:] = good
assert ask(request(1, 0, matrix + [address(given), 1, address(solution)])) == b'+'
assert np.allclose(grid @ solution, given)
result = seen
";

/// Any bytes, and any words: what is written may be the interpreter itself.
const ANYTHING: &str = "\
chance = random.Random(inputs['seed'])
refused = 0
for number in range(1500):
    kind = number % 3
    if kind == 0:
        frame = chance.randbytes(chance.choice([0, 1, 2, 8, 9, 64, 300, 5000]))
    elif kind == 1:
        frame = b'k' + chance.randbytes(chance.choice([0, 1, 7, 8, 9, 48, 72, 88, 128]))
    else:
        arrays = [starts, indices, values, given, solution]
        near = [address(array) + chance.choice([-8, -1, 0, 1, 4, 8]) for array in arrays]
        words = [chance.choice(odd + near) for _ in range(chance.choice([6, 8, 9, 10]))]
        frame = request(chance.randrange(6), chance.randrange(2), words)
    refused += ask(frame)[:1] != b'+'
result = refused
";

async fn preview(server: &Server, source: &str, more: Value) -> Result<Answer> {
    let mut body = python(source);
    merge(&mut body, more);
    server.preview(&body).await?.expect(200)
}

/// How it ended: `completed`, or the kind of its error.
fn end(answer: &Answer) -> Result<String> {
    if answer.str_at("/state")? == "completed" { Ok("completed".to_owned()) } else { answer.str_at("/error/kind") }
}

#[tokio::test]
async fn arrays_beyond_the_memory_end_the_sandbox_and_nothing_else() -> Result<()> {
    let server = Server::start().await?;
    // Beyond 512 MiB; at the end of all addresses; strides that leave the memory though each size is small.
    let arrays = [
        "wild(0x7fff_fff8, (200, 200))",
        "wild(0xffff_0000, (200, 200))",
        "wild(0xffff_fff8, (200, 200))",
        "wild(a.__array_interface__['data'][0], (200, 200), (1 << 24, 8))",
        "wild(a.__array_interface__['data'][0], (200, 200), (8, 1 << 24))",
        "wild(a.__array_interface__['data'][0], (14000, 14000))",
    ];
    let uses = [
        "result = float((x @ a[:1].repeat(x.shape[1], 0)[:, :40]).sum())",
        "result = float(np.linalg.solve(x, x[:, :3]).sum())",
        "result = float(np.linalg.cholesky(x).sum())",
        "np.matmul(a[:, :200], a[:200, :200], out=x[:200, :200])\nresult = 1",
    ];
    for array in arrays {
        for used in uses {
            for kernels in ["native", "wasm"] {
                let source = format!("{WILD}x = {array}\n{used}");
                let limits = json!({"kernels": kernels, "limits": {"memory_bytes": 512 << 20}});
                let end = end(&preview(&server, &source, limits).await?)?;
                let kinds = ["trap", "out_of_memory", "exception"];
                ensure!(kinds.contains(&end.as_str()), "{end}, kernels: {kernels}\n{source}");
                server.probe().await.with_context(|| source.clone())?;
            }
        }
    }
    Ok(())
}

#[tokio::test]
async fn results_may_go_anywhere_in_the_sandboxes_own_memory() -> Result<()> {
    let server = Server::start().await?;
    for address in ["0", "8", "1024", "4096", "1 << 20", "3 << 20", "(8 << 20) + 4", "(16 << 20) + 1", "24 << 20"] {
        for used in ["np.matmul(a, a, out=x)", "np.dot(a, a, out=x)", "np.linalg.multi_dot([a, a, a], out=x)"] {
            let source = format!("{WILD}x = wild({address}, (200, 200))\n{used}\nresult = 1");
            // Its own interpreter may be overwritten: it may end in any way.
            end(&preview(&server, &source, json!({})).await?)?;
            server.probe().await.with_context(|| source.clone())?;
        }
    }
    Ok(())
}

#[tokio::test]
async fn requests_that_are_nearly_right_are_declined_or_answered() -> Result<()> {
    let server = Server::start().await?;
    let source = format!("{REQUESTS}{NEARLY_RIGHT}");
    let answer = preview(&server, &source, json!({})).await?.expect_completed()?;
    let seen = answer.at("/result")?;
    let count = |word: &str| seen.get(word).and_then(Value::as_u64).unwrap_or(0);
    ensure!(count("+") > 100 && count("-") > 100, "{seen}");
    server.probe().await?;
    Ok(())
}

#[tokio::test]
async fn requests_of_any_bytes_do_no_harm_to_the_host() -> Result<()> {
    let server = Server::start().await?;
    let mut completed = 0;
    for seed in 0..12 {
        let source = format!("{REQUESTS}{ANYTHING}");
        let answer = preview(&server, &source, json!({"inputs": {"seed": seed}})).await?;
        completed += u32::from(end(&answer)? == "completed");
        server.probe().await.with_context(|| format!("after requests of seed {seed}"))?;
    }
    ensure!(completed > 0, "no sandbox went on");
    Ok(())
}
