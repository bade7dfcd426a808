-- Writes one cell if the channel is as it was read. KEYS: cells, state, order. ARGV: now or '', how long
-- to keep the channel, the version that was read, until when what was read holds or '', field, new cell
-- or '' for none, bytes afterwards.
local now = ARGV[1]
if now == '' then
  local time = redis.call('TIME')
  now = string.format('%.0f', time[1] * 1000000 + time[2])
end
if (redis.call('HGET', KEYS[2], 'version') or '0') ~= ARGV[3] then
  return 0
end
if ARGV[4] ~= '' and tonumber(now) >= tonumber(ARGV[4]) then
  return 0
end
if ARGV[6] == '' then
  redis.call('HDEL', KEYS[1], ARGV[5])
  redis.call('ZREM', KEYS[3], ARGV[5])
else
  redis.call('HSET', KEYS[1], ARGV[5], ARGV[6])
  redis.call('ZADD', KEYS[3], 0, ARGV[5])
end
redis.call('HINCRBY', KEYS[2], 'version', 1)
redis.call('HSET', KEYS[2], 'bytes', ARGV[7])
for at = 1, 3 do
  redis.call('PEXPIRE', KEYS[at], ARGV[2])
end
return 1
