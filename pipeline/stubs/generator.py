"""datamodel-code-generator, called: the one place that knows its options."""

import json
import warnings

from pipeline.stubs.models import Models
from pipeline.stubs.vetting import UnexpectedCode


def model_code(models: Models, base_module: str, width: int) -> str:
    """What the generator makes of the models: imports, classes and aliases.

    Raises:
        UnexpectedCode: the generator failed.
    """
    if not models.definitions:
        return ""
    # Imported here because it takes two seconds, which `conduit --help` has not.
    from datamodel_code_generator import generate
    from datamodel_code_generator.enums import DataModelType, InputFileType
    from datamodel_code_generator.format import DatetimeClassType, Formatter, PythonVersion

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            code = generate(
                json.dumps({"$defs": models.definitions}),
                input_file_type=InputFileType.JsonSchema,
                output_model_type=DataModelType.PydanticV2BaseModel,
                target_python_version=PythonVersion.PY_310,
                base_class=f"{base_module}.Message",
                base_class_map=dict.fromkeys(models.base64_models, f"{base_module}.Base64Message"),
                enum_field_as_literal_map=dict.fromkeys(models.literal_fields(), "literal"),
                output_datetime_class=DatetimeClassType.Datetime,
                formatters=[Formatter.BUILTIN],
                builtin_format_line_length=width,
                allow_remote_refs=False,
                custom_file_header="#",
                disable_future_imports=True,
                disable_timestamp=True,
                field_constraints=True,
                set_default_enum_member=True,
                skip_root_model=True,
                strict_nullable=True,
                use_annotated=True,
                use_double_quotes=True,
                use_field_description=True,
                use_schema_description=True,
                use_specialized_enum=False,
                use_standard_collections=True,
                use_tuple_for_fixed_items=True,
                use_type_alias=True,
                use_union_operator=True,
                use_unique_items_as_set=True,
            )
    except Exception as error:  # it fails in ways of its own, and all of them mean that there is no code
        raise UnexpectedCode(f"{type(error).__name__}: {error}") from error
    return str(code)
