-- An acceptor's own hash keeps the floor, and what a register holds that is not there: nothing, and who made it from
-- nothing can tell that it was made above this floor.
local function raise(own, floor)
  if not is_higher(floor, redis.call("HGET", own, "floor") or "0:0") then return end
  local nothing = '{"value":null,"lineage":{"0": ' .. string.match(floor, "^%d+") .. '}}'
  redis.call("HSET", own, "floor", floor, "nothing", nothing)
end

-- The epoch of the configuration that an acceptor was told of. Its `epoch` may be later: proposers bring that along.
local function told(configuration) return tonumber(string.match(configuration or "", '"epoch": (%d+)') or 0) end
