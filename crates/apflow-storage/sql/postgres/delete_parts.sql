-- Results that are superseded.
DELETE FROM af_output_parts WHERE task = ANY ($1::bigint[])
