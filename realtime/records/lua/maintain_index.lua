-- Maintains what a tenant's new clients are shown: renews the expiry of unfinished topics, removes old terminal topics,
-- and returns topics without status.
-- KEYS: 1 fence, 2 terminal, 3 index, 4 feed
-- ARGV: 1 the beginning of the tenant's keys, 2 suffix of status keys, 3 suffix of progress keys,
--       4 ttl of unfinished topics (0: look only),
--       5 ttl of terminal topics once new clients are no longer shown them (0: none),
--       6 which topics to return besides: 'none', 'unfinished' or 'all', 7 greatest age of a terminal topic in s,
--       8 the time by the caller's clock
-- Returns for each such topic: topic, fence, and '1' if its status exists, else '0'.
local renew = ARGV[4] ~= '0'
local function status_of(topic) return ARGV[1] .. topic .. ARGV[2] end

if renew then
    local clock = redis.call('TIME')
    local floor = tonumber(redis.call('HGET', KEYS[4], 'floor') or 0)
    -- A topic is old if both clocks say so, Redis' and the caller's: one of them may be a day ahead by mistake.
    local now = math.min(tonumber(clock[1]), tonumber(ARGV[8]))
    local old = redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', now - tonumber(ARGV[7]))
    for _, topic in ipairs(old) do
        floor = math.max(floor, tonumber(redis.call('ZSCORE', KEYS[3], topic) or 0))
        redis.call('ZREM', KEYS[2], topic)
        redis.call('ZREM', KEYS[3], topic)
        redis.call('HDEL', KEYS[1], topic)
        if ARGV[5] ~= '0' then redis.call('EXPIRE', status_of(topic), ARGV[5]) end
    end
    if #old > 0 then redis.call('HSET', KEYS[4], 'floor', string.format('%.0f', floor)) end
end

local entries = redis.call('HGETALL', KEYS[1])
local answer = {}
for position = 1, #entries, 2 do
    local topic, fence = entries[position], entries[position + 1]
    local status, terminal, there = status_of(topic), string.match(fence, '^%d+ 2'), nil
    if not renew then
        there = redis.call('EXISTS', status)
    elseif terminal then
        -- The status of a shown topic has no expiry. An older version may have set one: remove it.
        there = redis.call('PERSIST', status) == 1 and 1 or redis.call('EXISTS', status)
    else
        there = redis.call('EXPIRE', status, ARGV[4])
        redis.call('EXPIRE', ARGV[1] .. topic .. ARGV[3], ARGV[4])
    end
    if there == 0 or ARGV[6] == 'all' or ARGV[6] == 'unfinished' and not terminal then
        answer[#answer + 1] = topic
        answer[#answer + 1] = fence
        answer[#answer + 1] = tostring(there)
    end
end
return answer
