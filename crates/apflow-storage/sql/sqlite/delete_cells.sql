-- Places of channels where nothing lies any more.
DELETE FROM af_channel
WHERE (forest, space, slot) IN
    (SELECT v.value ->> 0, v.value ->> 1, v.value ->> 2 FROM json_each($1) AS v)
