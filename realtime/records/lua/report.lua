-- Stores the report of a process, with the time of Redis, and once a minute how much memory Redis uses.
-- KEYS: 1 reports (hash), 2 watched, 3 memory (list), 4 memory noted
-- ARGV: 1 the process, 2 its report, 3 for how many seconds figures are watched from now (0: not by this process),
--       4 seconds between two entries of the list, 5 most entries, 6 seconds after which list and reports are forgotten,
--       7 age in seconds from which a report is of a process that has ended
-- Returns whether a client of any process watches figures.
local clock = redis.call('TIME')
redis.call('HSET', KEYS[1], ARGV[1], clock[1] .. '.' .. string.format('%06d', clock[2]) .. ' ' .. ARGV[2])
redis.call('EXPIRE', KEYS[1], ARGV[6])
if ARGV[3] ~= '0' then redis.call('SET', KEYS[2], '', 'EX', ARGV[3]) end
if redis.call('SET', KEYS[4], '', 'NX', 'EX', ARGV[4]) then
    local used = string.match(redis.call('INFO', 'memory'), 'used_memory:(%d+)')
    redis.call('RPUSH', KEYS[3], clock[1] .. ' ' .. used)
    redis.call('LTRIM', KEYS[3], -tonumber(ARGV[5]), -1)
    redis.call('EXPIRE', KEYS[3], ARGV[6])
    -- A process that was killed leaves its report. Readers delete it, but they read only while somebody watches.
    local reports = redis.call('HGETALL', KEYS[1])
    for place = 1, #reports, 2 do
        local at = tonumber(string.match(reports[place + 1], '^[%d.]+')) or 0
        if clock[1] - at > tonumber(ARGV[7]) then redis.call('HDEL', KEYS[1], reports[place]) end
    end
end
return redis.call('EXISTS', KEYS[2])
