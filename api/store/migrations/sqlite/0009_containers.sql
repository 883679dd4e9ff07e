-- What a task needs of the worker that runs it in a container; absent where it runs in a sandbox. Those in containers
-- have queue ranks of their own, from 100 on.
ALTER TABLE tasks ADD COLUMN cpus INTEGER;
ALTER TABLE tasks ADD COLUMN memory_bytes INTEGER;

-- Of a worker with containers: what it has in all and free, and which solvers, as a JSON list of name@version.
ALTER TABLE workers ADD COLUMN executor TEXT NOT NULL DEFAULT 'sandbox';
ALTER TABLE workers ADD COLUMN cpus_total INTEGER NOT NULL DEFAULT 0;
ALTER TABLE workers ADD COLUMN cpus_free INTEGER NOT NULL DEFAULT 0;
ALTER TABLE workers ADD COLUMN memory_bytes_total INTEGER NOT NULL DEFAULT 0;
ALTER TABLE workers ADD COLUMN memory_bytes_free INTEGER NOT NULL DEFAULT 0;
ALTER TABLE workers ADD COLUMN solvers TEXT NOT NULL DEFAULT '[]';
