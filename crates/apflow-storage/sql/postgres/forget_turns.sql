-- An owner whose turns are over begins where everybody is.
DELETE FROM af_turns WHERE next < $1
