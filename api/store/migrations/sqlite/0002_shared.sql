-- The group of a lane that is one line for all tenants is all zeros, as in PostgreSQL.
UPDATE tasks SET queue_group = zeroblob(16) WHERE queue_group = x'';
