-- Ids compare byte by byte here by themselves; the file keeps the numbers of both databases equal.
SELECT 1;
