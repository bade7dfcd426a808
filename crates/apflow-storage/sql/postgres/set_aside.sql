-- Rows that could not be read.
SELECT relation, row, what FROM af_set_aside ORDER BY at, row COLLATE "C"
