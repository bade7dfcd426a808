-- The pieces of one result, in order.
SELECT body FROM af_output_parts WHERE task = $1 ORDER BY part
