-- Submissions that this one links to.
SELECT original FROM af_references WHERE forest = $1
