-- The members that other servers have in a room, page by page. KEYS: 1 the servers with members, 2 the
-- leases, 3 the run id of Redis, 4 when its grace ends. ARGV: 1 the asking server, 2 from which
-- server on, 3 from which place of its hash on, 4 about how many members a page has, 5 the run id of
-- this Redis. Answers from where to go on ('' and '0': that was all), whether servers may still tell
-- of theirs, and two elements a server: its name, and nicks with letters. A member that was there all
-- the time is in a page.
--
-- What a server has told an earlier process of Redis counts no more: it tells all again. That is
-- removed, and what servers have left whose leases are over.
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local has_grace = redis.call('GET', KEYS[3]) ~= ARGV[5]
    or now < (tonumber(redis.call('GET', KEYS[4])) or 0)

local function is_over(server)
    return redis.call('HGET', KEYS[1], server) ~= ARGV[5]
        or not has_grace and (tonumber(redis.call('ZSCORE', KEYS[2], server)) or 0) <= now
end

local servers, page, count = redis.call('HKEYS', KEYS[1]), {'', '0', has_grace and '1' or '0'}, 0
table.sort(servers)
for _, server in ipairs(servers) do
    local members = KEYS[1] .. ':' .. server
    if is_over(server) then
        redis.call('DEL', members)
        redis.call('HDEL', KEYS[1], server)
    elseif server ~= ARGV[1] and server >= ARGV[2] then
        local at = server == ARGV[2] and ARGV[3] or '0'
        repeat
            if count >= tonumber(ARGV[4]) then
                page[1], page[2] = server, at
                return page
            end
            local got = redis.call('HSCAN', members, at, 'COUNT', ARGV[4])
            at, count = got[1], count + #got[2] / 2
            page[#page + 1], page[#page + 2] = server, got[2]
        until at == '0'
    end
end
return page
