-- Whether a node holds a lease, and what is kept of the key of a nick: the name of the node that holds
-- it, of 16 digits, and the session of its client. KEYS: 1 the nicks by their keys, 2 the leases, 3 when the grace of
-- Redis ends. ARGV: 1 the node that asks.
local time = redis.call('TIME')
local has_grace = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
    < (tonumber(redis.call('GET', KEYS[3])) or 0)
local node, known = ARGV[1], {}

local function is_live(other)
    if known[other] == nil then
        known[other] = has_grace or redis.call('ZSCORE', KEYS[2], other) ~= false
    end
    return known[other]
end

local function holder(held)
    if held then
        return string.sub(held, 1, 16), string.sub(held, 17)
    end
end
