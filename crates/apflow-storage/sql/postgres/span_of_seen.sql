-- How many numbers lie between the oldest and the newest mark: never less than there are marks.
SELECT (SELECT max(seq) FROM af_seen) - (SELECT min(seq) FROM af_seen) + 1
