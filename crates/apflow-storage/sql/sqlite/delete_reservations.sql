-- Attempts that ended have nothing put aside any more.
DELETE FROM af_reservations WHERE task IN (SELECT value FROM json_each($1))
