-- Results that are superseded.
DELETE FROM af_output_parts WHERE task IN (SELECT value FROM json_each($1))
