-- Removes what has expired. KEYS: cells, state, order. ARGV: now or ''.
local now = ARGV[1]
if now == '' then
  local time = redis.call('TIME')
  now = string.format('%.0f', time[1] * 1000000 + time[2])
end
local freed, gone = 0, 0
local cells = redis.call('HGETALL', KEYS[1])
for at = 1, #cells, 2 do
  local ends, value = string.match(cells[at + 1], '^%d+:(%d+):(.*)$')
  if ends and tonumber(now) >= tonumber(ends) then
    redis.call('HDEL', KEYS[1], cells[at])
    redis.call('ZREM', KEYS[3], cells[at])
    local slot = string.match(cells[at], '^[^\n]*\n(.*)$')
    freed = freed + #slot + #value
    gone = gone + 1
  end
end
if gone > 0 then
  redis.call('HINCRBY', KEYS[2], 'version', 1)
  redis.call('HINCRBY', KEYS[2], 'bytes', -freed)
end
return gone
