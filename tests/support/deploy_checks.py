"""What must hold for the CloudFormation templates and cfn-lint does not see.

Each function takes all templates by name and returns the names of what is wrong, so none where all is well.
"""

from __future__ import annotations

import json
import re
from typing import Any

from tests.support.deploy import (
    API_VARIABLES,
    DASHBOARD_VARIABLES,
    OTHER_VARIABLES,
    SECRET_VARIABLES,
    STACKS,
    Template,
    all_of,
    of_type,
)

Templates = dict[str, Template]
# Source: AWS::ElasticLoadBalancingV2::LoadBalancer LoadBalancerAttribute, ::TargetGroup TargetGroupAttribute.
ATTRIBUTES = {
    "idle_timeout.timeout_seconds",
    "routing.http.drop_invalid_header_fields.enabled",
    "stickiness.enabled",
    "stickiness.type",
    "stickiness.lb_cookie.duration_seconds",
    "deregistration_delay.timeout_seconds",
    "load_balancing.algorithm.type",
}
VERSIONS_OF_LAMBDA = ("python3.12", "python3.13")


def containers(all_templates: Templates) -> list[dict[str, Any]]:
    return [
        container
        for _, task in of_type(all_templates, "AWS::ECS::TaskDefinition")
        for container in task["ContainerDefinitions"]
    ]


def attributes(properties: dict[str, Any], key: str) -> dict[str, str]:
    return {attribute["Key"]: attribute["Value"] for attribute in properties[key]}


def stop_timeouts(all_templates: Templates) -> list[str]:
    """ECS takes at most 120 s; shorter than the API's longest answer would cut it off."""
    essential = [container for container in containers(all_templates) if container["Essential"]]
    return [one["Name"] for one in essential if not 30 < one.get("StopTimeout", 30) <= 120]


def target_types(all_templates: Templates) -> list[str]:
    """Containers of awsvpc have addresses of their own."""
    groups = of_type(all_templates, "AWS::ElasticLoadBalancingV2::TargetGroup")
    return [name for name, group in groups if group.get("TargetType") != "ip"]


def attribute_keys(all_templates: Templates) -> list[str]:
    """A misspelt attribute is an error only while the stack is made."""
    lists = [*all_of(all_templates, "LoadBalancerAttributes"), *all_of(all_templates, "TargetGroupAttributes")]
    return [one["Key"] for attributes in lists for one in attributes if one["Key"] not in ATTRIBUTES]


def websockets(all_templates: Templates) -> list[str]:
    """A quiet page stays connected for five minutes, and a browser with its container."""
    resources = all_templates["load_balancer"]["Resources"]
    balancer = attributes(resources["LoadBalancer"]["Properties"], "LoadBalancerAttributes")
    dashboard = attributes(resources["DashboardTargets"]["Properties"], "TargetGroupAttributes")
    idle = int(balancer.get("idle_timeout.timeout_seconds", "60"))
    sticky = (dashboard.get("stickiness.enabled"), dashboard.get("stickiness.type"))
    return [f"idle timeout {idle}"] * (not 300 <= idle <= 4000) + ["stickiness"] * (sticky != ("true", "lb_cookie"))


def ports(all_templates: Templates) -> list[str]:
    """One port from the program's setting through container, service and target group to the security group."""
    found = {
        *(mapping["ContainerPort"] for one in containers(all_templates) for mapping in one.get("PortMappings", ())),
        *(
            int(entry["Value"])
            for one in containers(all_templates)
            for entry in one.get("Environment", ())
            if entry["Name"] == "PORT"
        ),
        *(
            one["ContainerPort"]
            for _, service in of_type(all_templates, "AWS::ECS::Service")
            for one in service["LoadBalancers"]
        ),
        *(group["Port"] for _, group in of_type(all_templates, "AWS::ElasticLoadBalancingV2::TargetGroup")),
        *(
            rule["ToPort"]
            for name, group in of_type(all_templates, "AWS::EC2::SecurityGroup")
            if name in ("DashboardSecurityGroup", "ApiSecurityGroup")
            for rule in group["SecurityGroupIngress"]
        ),
    }
    return [] if found == {8080} else [str(port) for port in sorted(found)]


def service_containers(all_templates: Templates) -> list[str]:
    """Each service sends its requests to the container of its name, on its own targets."""
    faults = []
    for name, service in of_type(all_templates, "AWS::ECS::Service"):
        [balancer] = service["LoadBalancers"]
        targets = balancer["TargetGroupArn"]["Fn::ImportValue"]["Fn::Sub"].lower()
        if balancer["ContainerName"] != service["ServiceName"] or service["ServiceName"] not in targets:
            faults.append(name)
    return faults


def permissions(all_templates: Templates) -> list[str]:
    """Named actions only; on S3, objects under a prefix; listing of a prefix, or of uploads, which end in a day."""
    statements = [one for list_ in all_of(all_templates, "Statement") for one in list_ if one["Effect"] == "Allow"]
    faults = []
    for statement in statements:
        actions = [statement["Action"]] if isinstance(statement["Action"], str) else statement["Action"]
        resource = json.dumps(statement.get("Resource", ""))
        is_object = any(re.fullmatch(r"s3:\w+Object", action) for action in actions)
        faults += [action for action in actions if "*" in action]
        faults += ["all objects"] * (is_object and not re.search(r"/(cases|uploads)/\*", resource))
        is_whole_bucket = "s3:prefix" not in json.dumps(statement) and "Uploads" not in resource
        faults += ["all keys listed"] * ("s3:ListBucket" in actions and is_whole_bucket)
    return faults


def roles(all_templates: Templates) -> list[str]:
    """What starts a container and what the program may do are two roles; the API holds none."""
    tasks = dict(of_type(all_templates, "AWS::ECS::TaskDefinition"))
    dashboard = tasks["DashboardTask"]
    is_shared = dashboard["TaskRoleArn"] == dashboard["ExecutionRoleArn"]
    return ["DashboardTask"] * is_shared + ["ApiTask"] * ("TaskRoleArn" in tasks["ApiTask"])


def plain_secrets(all_templates: Templates) -> list[str]:
    """Whatever stands in Environment is shown to everyone who may look at the task or the function."""
    environments = [{entry["Name"] for entry in one.get("Environment", ())} for one in containers(all_templates)]
    environments += [
        set(function["Environment"]["Variables"]) for _, function in of_type(all_templates, "AWS::Lambda::Function")
    ]
    return sorted(SECRET_VARIABLES & set().union(*environments))


def variables(all_templates: Templates) -> list[str]:
    """Every variable is a setting of the program it is given to, or read by someone who is named."""
    known = {"dashboard": DASHBOARD_VARIABLES, "api": API_VARIABLES, "prepare": frozenset()}
    given = {
        one["Name"]: {entry["Name"] for entry in [*one.get("Environment", ()), *one.get("Secrets", ())]}
        for one in containers(all_templates)
    }
    [(_, function)] = of_type(all_templates, "AWS::Lambda::Function")
    unknown = set(function["Environment"]["Variables"]) - API_VARIABLES
    for name, names in given.items():
        unknown |= names - known[name]
    return sorted(unknown - set(OTHER_VARIABLES))


def open_ports(all_templates: Templates) -> list[str]:
    """Only https and its redirect are open to the world, and only at the load balancer."""
    return [
        f"{name}:{rule['FromPort']}"
        for name, group in of_type(all_templates, "AWS::EC2::SecurityGroup")
        for rule in group["SecurityGroupIngress"]
        if ("CidrIpv6" in rule or rule.get("CidrIp", "").endswith("/0"))
        and (name, rule["FromPort"], rule["ToPort"])
        not in (("LoadBalancerSecurityGroup", 443, 443), ("LoadBalancerSecurityGroup", 80, 80))
    ]


def buckets(all_templates: Templates) -> list[str]:
    """Closed to the public, encrypted, with an end to what was deleted; reached over TLS alone."""
    faults = []
    for name, bucket in of_type(all_templates, "AWS::S3::Bucket"):
        block = bucket.get("PublicAccessBlockConfiguration", {})
        is_closed = len(block) == 4 and all(value is True for value in block.values())
        policies = [policy for _, policy in of_type(all_templates, "AWS::S3::BucketPolicy")]
        is_tls_only = any(
            policy["Bucket"] == {"Ref": name} and "aws:SecureTransport" in json.dumps(policy) for policy in policies
        )
        if not (is_closed and is_tls_only and "BucketEncryption" in bucket and "LifecycleConfiguration" in bucket):
            faults.append(name)
    return faults


def lasting(all_templates: Templates) -> list[str]:
    """What was saved outlives its stack: versions of images, the database, the key."""
    resources = all_templates["data"]["Resources"]
    expected = {"Bucket": "Retain", "CaseKey": "Retain", "DatabasePassword": "Retain", "Database": "Snapshot"}
    faults = [name for name, policy in expected.items() if resources[name].get("DeletionPolicy") != policy]
    database = resources["Database"]["Properties"]
    is_safe = database["StorageEncrypted"] and database["DeletionProtection"] and not database["PubliclyAccessible"]
    faults += ["database"] * (not is_safe or database["BackupRetentionPeriod"] < 7)
    return faults + ["versions"] * (resources["Bucket"]["Properties"]["VersioningConfiguration"]["Status"] != "Enabled")


def hardening(all_templates: Templates) -> list[str]:
    """Nobody's root file system can be written to; root is only who prepares, and never serves."""
    return [
        one["Name"]
        for one in containers(all_templates)
        if not one.get("ReadonlyRootFilesystem")
        or (
            one["Essential"]
            and (one.get("User") != "10001" or one["LinuxParameters"]["Capabilities"]["Drop"] != ["ALL"])
        )
        or (one.get("User") == "0" and "PortMappings" in one)
    ]


def deployments(all_templates: Templates) -> list[str]:
    """A version that does not come up is taken back, and nothing is stopped before the new one answers."""
    careful = {"Enable": True, "Rollback": True}
    return [
        name
        for name, service in of_type(all_templates, "AWS::ECS::Service")
        if service["DeploymentConfiguration"].get("DeploymentCircuitBreaker") != careful
        or service["DeploymentConfiguration"]["MinimumHealthyPercent"] < 100
    ]


def logs(all_templates: Templates) -> list[str]:
    """A log without retention is kept, and paid for, for ever."""
    groups = of_type(all_templates, "AWS::Logs::LogGroup")
    return [name for name, group in groups if "RetentionInDays" not in group]


def listeners(all_templates: Templates) -> list[str]:
    """Port 80 redirects and does nothing else."""
    return [
        name
        for name, listener in of_type(all_templates, "AWS::ElasticLoadBalancingV2::Listener")
        if listener["Protocol"] != "HTTPS" and [one["Type"] for one in listener["DefaultActions"]] != ["redirect"]
    ]


def scaling(all_templates: Templates) -> list[str]:
    """Both services grow by processor and by requests."""
    found: dict[str, set[str]] = {}
    for _, policy in of_type(all_templates, "AWS::ApplicationAutoScaling::ScalingPolicy"):
        [metric] = all_of(policy, "PredefinedMetricType")
        found.setdefault(policy["ScalingTargetId"]["Ref"], set()).add(metric)
    both = {"ECSServiceAverageCPUUtilization", "ALBRequestCountPerTarget"}
    return [name for name in ("DashboardCapacity", "ApiCapacity") if found.get(name) != both]


def imports(all_templates: Templates) -> list[str]:
    """Every imported value is exported by a stack that is made earlier."""
    exported: set[str] = set()
    faults = []
    for name in STACKS:
        imported = {one["Fn::Sub"] for one in all_of(all_templates[name], "Fn::ImportValue")}
        faults += sorted(imported - exported)
        exported |= {one["Name"]["Fn::Sub"] for one in all_of(all_templates[name], "Export")}
    return faults


def function(all_templates: Templates) -> list[str]:
    """A Python that LiteRT runs on, an end before API Gateway's 30 s, and the API's own end before that."""
    [(_, lambda_function)] = of_type(all_templates, "AWS::Lambda::Function")
    limit = int(lambda_function["Environment"]["Variables"]["API_TIME_LIMIT_SECONDS"])
    faults = ["runtime"] * (lambda_function["Runtime"] not in VERSIONS_OF_LAMBDA)
    return faults + ["time"] * (not limit < lambda_function["Timeout"] < 30)


def routes(all_templates: Templates) -> list[str]:
    """The function trusts the gateway, so no route is without a token, and nothing but this gateway calls it."""
    faults = [
        route["RouteKey"]
        for _, route in of_type(all_templates, "AWS::ApiGatewayV2::Route")
        if route.get("AuthorizationType") != "JWT" or "AuthorizerId" not in route
    ]
    permissions_ = [one for _, one in of_type(all_templates, "AWS::Lambda::Permission")]
    return faults + ["permission"] * any("${Gateway}" not in json.dumps(one.get("SourceArn")) for one in permissions_)
