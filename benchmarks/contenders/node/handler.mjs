// The tutorials' handler: unmarshall both images, switch on the event's name. The effects are stubs that only count.
import { unmarshall } from "@aws-sdk/util-dynamodb";

const done = { reserve: 0, announce: 0 };

export const handler = async (event) => {
  for (const record of event.Records) {
    const newImage = record.dynamodb.NewImage && unmarshall(record.dynamodb.NewImage);
    const oldImage = record.dynamodb.OldImage && unmarshall(record.dynamodb.OldImage);
    if ((newImage ?? oldImage).entityType !== "Order") continue;
    switch (record.eventName) {
      case "INSERT":
        done.reserve += 1;
        done.announce += 1;
        break;
      case "MODIFY":
        if (newImage.status !== oldImage.status) done.announce += 1;
        break;
      case "REMOVE":
        done.announce += 1;
        break;
    }
  }
  return { batchItemFailures: [] };
};
