-- How a channel stands, and some of its cells. KEYS: cells, state, order. ARGV: now or '', how long to
-- keep the channel in milliseconds, fields.
local now = ARGV[1]
if now == '' then
  local time = redis.call('TIME')
  now = string.format('%.0f', time[1] * 1000000 + time[2])
end
local state = redis.call('HMGET', KEYS[2], 'version', 'bytes')
local answer = { now, state[1] or '0', state[2] or '0', redis.call('HLEN', KEYS[1]) }
for at = 3, #ARGV do
  answer[at + 2] = redis.call('HGET', KEYS[1], ARGV[at]) or ''
end
for at = 1, 3 do
  redis.call('PEXPIRE', KEYS[at], ARGV[2])
end
return answer
