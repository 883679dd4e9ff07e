-- When some work that one of all processes does now and then was last begun.
CREATE TABLE upkeep (
    what TEXT NOT NULL PRIMARY KEY,
    begun_ms BIGINT NOT NULL
);
