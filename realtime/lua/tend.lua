-- Looks after what a tenant's new clients are shown: unfinished topics live on, and what has lost its status is named.
-- KEYS: 1 fence, 2 terminal
-- ARGV: 1 what the tenant's keys begin with, 2 suffix of status keys, 3 suffix of progress keys,
--       4 ttl of unfinished (0: look only), 5 ttl of terminal (0: none),
--       6 which topics to name beside those: 'none', 'unfinished' or 'all'
-- Returns topic, fence, and '1' if its status is there, for each topic that is named.
local clock = redis.call('TIME')
local oldest = tonumber(ARGV[5]) > 0 and tonumber(clock[1]) - tonumber(ARGV[5]) or 0
local renew = ARGV[4] ~= '0'
local entries = redis.call('HGETALL', KEYS[1])
local answer = {}
for position = 1, #entries, 2 do
    local topic, fence = entries[position], entries[position + 1]
    local named = ARGV[6] == 'all'
    local status, there, over = ARGV[1] .. topic .. ARGV[2], nil, false
    if string.match(fence, '^%d+ 2') then
        there = redis.call('EXISTS', status)
        over = there == 0 and tonumber(redis.call('ZSCORE', KEYS[2], topic) or 0) < oldest -- its term has ended
    else
        named = ARGV[6] ~= 'none'
        there = renew and redis.call('EXPIRE', status, ARGV[4]) or redis.call('EXISTS', status)
        if renew then redis.call('EXPIRE', ARGV[1] .. topic .. ARGV[3], ARGV[4]) end
    end
    if not over and (there == 0 or named) then
        answer[#answer + 1] = topic
        answer[#answer + 1] = fence
        answer[#answer + 1] = tostring(there)
    end
end
return answer
