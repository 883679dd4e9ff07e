-- Each request that sends bytes gets a key of its own; before, keys followed from the ids.
ALTER TABLE uploads ADD COLUMN object_key TEXT;

UPDATE uploads SET object_key = (
    SELECT 'uploads/' || substr(t, 1, 8) || '-' || substr(t, 9, 4) || '-' || substr(t, 13, 4) || '-' || substr(t, 17, 4)
        || '-' || substr(t, 21) || '/' || substr(u, 1, 8) || '-' || substr(u, 9, 4) || '-' || substr(u, 13, 4) || '-'
        || substr(u, 17, 4) || '-' || substr(u, 21)
    FROM (SELECT lower(hex(tenant)) AS t, lower(hex(id)) AS u)
) WHERE state <> 'awaiting';

ALTER TABLE modules ADD COLUMN object_key TEXT NOT NULL DEFAULT '';

UPDATE modules SET object_key = (
    SELECT 'modules/' || substr(t, 1, 8) || '-' || substr(t, 9, 4) || '-' || substr(t, 13, 4) || '-' || substr(t, 17, 4)
        || '-' || substr(t, 21) || '/' || lower(hex(digest)) || '.wasm'
    FROM (SELECT lower(hex(tenant)) AS t)
);
