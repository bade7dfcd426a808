-- The highest turn that any owner has come to.
SELECT max(next) FROM af_turns
