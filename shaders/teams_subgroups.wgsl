enable subgroups;

// Teams: a subgroup each, of whatever size the device chose. Neither that size nor which invocations form one is
// assumed: teams number themselves.
var<workgroup> formed: atomic<u32>;
var<workgroup> formed_in_all: u32;

// Sets team, lane and lanes; how many teams there are.
fn form_teams(invocation: u32) -> u32 {
  lane = subgroupExclusiveAdd(1u);
  lanes = subgroupAdd(1u);
  var number = 0u;
  if (lane == 0u) {
    number = atomicAdd(&formed, 1u);
  }
  team = subgroupBroadcastFirst(number);
  workgroupBarrier();
  if (invocation == 0u) {
    formed_in_all = atomicLoad(&formed);
  }
  return workgroupUniformLoad(&formed_in_all);
}

// The sums over the team, in every invocation of it.
fn team_sum(value: vec2<f32>) -> vec2<f32> {
  return subgroupAdd(value);
}

// largest[index] = max(largest[index], the workgroup's values), after the next barrier.
fn raise(index: u32, value: u32) {
  let most = subgroupMax(value);
  if (lane == 0u) {
    atomicMax(&largest[index], most);
  }
}
