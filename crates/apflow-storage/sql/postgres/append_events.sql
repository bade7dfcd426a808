-- What happened, in order. A number is taken while the rows it tells of are locked, so numbers follow
-- the order in which things happened. Before it takes its first number a transaction announces, by a
-- lock that nobody waits for, from where on its numbers will be; a reader stops below the lowest
-- announcement, so what commits late is read late and is never skipped. The number of the
-- transaction itself would not do: it is given out at the first lock, before the transaction waits
-- for the others whose changes it then builds on.
INSERT INTO af_events (seq, tree, task, kind, attempt, at, detail)
SELECT nextval('af_event_seq'), v.tree, v.task, v.kind, v.attempt, $21::bigint, v.detail
FROM (
    -- 97 above the upper half of the number, and its lower half
    SELECT pg_advisory_xact_lock_shared(1627389952 + (s.next >> 32)::integer,
        ((s.next << 32) >> 32)::integer)
    FROM (SELECT last_value + is_called::integer AS next FROM af_event_seq) AS s
    OFFSET 0
) AS announced
CROSS JOIN unnest($22::bigint[], $23::bigint[], $24::bigint[], $25::bigint[], $26::text[])
    WITH ORDINALITY AS v (tree, task, kind, attempt, detail, place)
ORDER BY v.place
