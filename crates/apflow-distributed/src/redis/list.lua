-- Fields in an order of bytes, with their cells. KEYS: cells, order. ARGV: now or '', first, end, so many.
local now = ARGV[1]
if now == '' then
  local time = redis.call('TIME')
  now = string.format('%.0f', time[1] * 1000000 + time[2])
end
local answer = { now }
local from, most = ARGV[2], tonumber(ARGV[4])
while #answer <= 2 * most do
  local fields = redis.call('ZRANGEBYLEX', KEYS[2], from, ARGV[3], 'LIMIT', 0, 100)
  if #fields == 0 then
    break
  end
  for _, field in ipairs(fields) do
    local cell = redis.call('HGET', KEYS[1], field)
    local ends = cell and string.match(cell, '^%d+:(%d+):')
    if cell and not (ends and tonumber(now) >= tonumber(ends)) and #answer <= 2 * most then
      answer[#answer + 1] = field
      answer[#answer + 1] = cell
    end
    from = '(' .. field
  end
end
return answer
