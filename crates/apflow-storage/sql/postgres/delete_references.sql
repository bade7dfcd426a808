-- The links of submissions that go.
DELETE FROM af_references WHERE forest = ANY ($1::bigint[])
