-- Attempts that ended have nothing put aside any more.
DELETE FROM af_reservations WHERE task = ANY ($1::bigint[])
