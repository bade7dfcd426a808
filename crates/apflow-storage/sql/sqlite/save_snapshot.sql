-- How a submission stood, in the place of what was kept under that name.
INSERT INTO af_snapshots (forest, name, tree, note, tasks, bytes, body, at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
ON CONFLICT (forest, name) DO UPDATE
SET tree = excluded.tree,
    note = excluded.note,
    tasks = excluded.tasks,
    bytes = excluded.bytes,
    body = excluded.body,
    at = excluded.at
